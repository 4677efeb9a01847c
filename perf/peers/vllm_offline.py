#!/usr/bin/env python3
"""The workloads of perf/gpu_check.sh on vLLM, where it is installed, in the same table.

Random weights from the same config.json, prompts as token ids, no tokenizer. nano has the very
prompts of `litelang bench throughput --preset nano`; the others are uniform over the vocabulary.

usage: vllm_offline.py [--models 0.5b,7b] [--workloads nano,prefill] [--tp N]

Each model runs in a process of its own, since vLLM gives a GPU back only when its process ends.
"""
import argparse
import importlib.util
import json
import os
import random
import statistics
import subprocess
import sys
import time

LAUNCH = time.perf_counter()
PERF = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROW = "{:14} {:5} {:>3} {:>14} {:>9}"
WORKLOADS = ["nano", "prefill", "seed-prefill", "seed-decode", "shared-prefix", "single", "startup"]


def nano():
    """Prompts and output lengths of nano-vllm's bench.py."""
    rng = random.Random(0)
    prompts = [[rng.randint(0, 10000) for _ in range(rng.randint(100, 1024))] for _ in range(256)]
    return prompts, [rng.randint(100, 1024) for _ in range(256)]


class Bench:
    def __init__(self, model, tp, max_num_batched_tokens):
        from vllm import LLM  # here, so that its import counts as start-up

        self.model, self.tp = model, tp
        folder = os.path.join(PERF, "models", "qwen2.5-" + model)
        with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
            self.vocab = json.load(file)["vocab_size"]
        self.rng = random.Random(1)
        self.llm = LLM(
            model=folder,
            load_format="dummy",
            skip_tokenizer_init=True,
            generation_config="vllm",
            dtype="bfloat16",
            tensor_parallel_size=tp,
            gpu_memory_utilization=0.9,
            max_num_seqs=256,
            max_num_batched_tokens=max_num_batched_tokens,
            seed=0,
        )
        self.generate(self.batch(1, 8), [1])
        self.startup_seconds = time.perf_counter() - LAUNCH

    def batch(self, count, length):
        """Prompts that no prefix cache knows."""
        return [[self.rng.randrange(self.vocab) for _ in range(length)] for _ in range(count)]

    def generate(self, prompts, output_lens, temperature=0.0):
        """Seconds for all answers, each of exactly its length."""
        from vllm import SamplingParams
        from vllm.inputs import TokensPrompt

        params = [
            SamplingParams(temperature=temperature, ignore_eos=True, max_tokens=n, detokenize=False)
            for n in output_lens
        ]
        inputs = [TokensPrompt(prompt_token_ids=p) for p in prompts]
        begin = time.perf_counter()
        outputs = self.llm.generate(inputs, params, use_tqdm=False)
        seconds = time.perf_counter() - begin
        made = [len(o.outputs[0].token_ids) for o in outputs]
        if made != list(output_lens):
            raise RuntimeError("vLLM did not make as many tokens as it was told to")
        return seconds

    def seconds_of_batch(self, count, length, output_len, runs):
        """Median of some runs after one that warms up."""
        times = [
            self.generate(self.batch(count, length), [output_len] * count) for _ in range(runs + 1)
        ]
        return statistics.median(times[1:])

    def run(self, workload):
        """What the table shows."""
        if workload == "startup":
            return f"{self.startup_seconds:.2f} s"
        if workload == "prefill":
            return f"{1e3 * self.seconds_of_batch(8, 2048, 1, 5):.2f} ms"
        if workload == "seed-prefill":
            return f"{1e3 * self.seconds_of_batch(40, 600, 1, 5):.2f} ms"
        if workload == "seed-decode":
            return f"{40 * 600 / self.seconds_of_batch(40, 600, 600, 2):.0f} tok/s"
        if workload == "single":  # decode steps alone
            first = self.seconds_of_batch(1, 600, 1, 3)
            return f"{255 / (self.seconds_of_batch(1, 600, 256, 3) - first):.0f} tok/s"
        if workload == "nano":
            prompts, lens = nano()
            self.generate(self.batch(256, 16), [64] * 256)
            return f"{sum(lens) / self.generate(prompts, lens, 0.6):.0f} tok/s"
        prefix = self.batch(1, 4096)[0]  # shared-prefix
        self.generate(self.batch(256, 16), [64] * 256)
        prompts = [prefix + own for own in self.batch(512, 64)]
        return f"{512 * 64 / self.generate(prompts, [64] * 512):.0f} tok/s"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", default="0.5b,1.5b,7b", help="of perf/models")
    parser.add_argument("--workloads", default=",".join(WORKLOADS))
    parser.add_argument("--tp", type=int, default=1, help="GPUs")
    parser.add_argument("--max-num-batched-tokens", type=int, default=16384)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    models, workloads = args.models.split(","), args.workloads.split(",")
    unknown = [w for w in workloads if w not in WORKLOADS]
    if unknown:
        parser.error(f"unknown workload {unknown[0]}; known are {', '.join(WORKLOADS)}")
    if importlib.util.find_spec("vllm") is None:
        sys.exit("vllm_offline: vLLM is not installed in this Python; pip install vllm")
    if not args.one:
        print(ROW.format("workload", "model", "np", "measured", "of floor"), flush=True)
        options = ["--workloads", args.workloads, "--tp", str(args.tp)]
        options += ["--max-num-batched-tokens", str(args.max_num_batched_tokens), "--one"]
        # What vLLM prints goes to standard error; standard output is the table.
        codes = [
            subprocess.run([sys.executable, __file__, "--models", m, *options], check=False).returncode
            for m in models
        ]
        sys.exit(max(map(abs, codes)) > 0)
    table = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    bench = Bench(models[0], args.tp, args.max_num_batched_tokens)
    for workload in workloads:
        print(ROW.format(workload, models[0], args.tp, bench.run(workload), "-"), file=table, flush=True)


if __name__ == "__main__":
    main()
