#!/usr/bin/env python3
"""The workloads of perf/gpu_check.sh on vLLM, where it is installed, in the same table.

Random weights from the same config.json, prompts as token ids, no tokenizer. nano, sampled and
logprobs have the very prompts of those presets of `litelang bench throughput`, nano2048 those of
`--preset nano --num_prompts 2048`; the others are uniform over the vocabulary. shared-cascade is
shared-prefix with vLLM's cascade attention, which it has off unless told otherwise.

usage: vllm_offline.py [--models 0.5b,7b] [--workloads nano,prefill] [--tp N]

Each row runs in a process of its own: vLLM gives a GPU back only when its process ends, and what
one workload leaves in its caches is not there for the next.
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
WORKLOADS = ["nano", "sampled", "logprobs", "nano2048", "prefill", "seed-prefill", "seed-decode"]
WORKLOADS += ["shared-prefix", "shared-cascade", "single", "startup"]
# How nano's requests are drawn; sampled has Qwen2.5's defaults.
NANO_SAMPLING = {
    "nano": {"temperature": 0.6},
    "nano2048": {"temperature": 0.6},
    "logprobs": {"temperature": 0.6, "logprobs": 5},
    "sampled": {"temperature": 0.7, "top_p": 0.8, "top_k": 20, "repetition_penalty": 1.05},
}
# What LLM() is told besides.
MORE = {"nano2048": {"max_num_seqs": 1024}, "shared-cascade": {"disable_cascade_attn": False}}


def nano(count):
    """Prompts and output lengths of nano-vllm's bench.py."""
    rng = random.Random(0)
    prompts = [[rng.randint(0, 10000) for _ in range(rng.randint(100, 1024))] for _ in range(count)]
    return prompts, [rng.randint(100, 1024) for _ in range(count)]


class Bench:
    def __init__(self, model, tp, options):
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
            seed=0,
            **{"max_num_seqs": 256, **options},
        )
        self.generate(self.batch(1, 8), [1])
        self.startup_seconds = time.perf_counter() - LAUNCH

    def batch(self, count, length):
        """Prompts that no prefix cache knows."""
        return [[self.rng.randrange(self.vocab) for _ in range(length)] for _ in range(count)]

    def generate(self, prompts, output_lens, **sampling):
        """Seconds for all answers, each of exactly its length."""
        from vllm import SamplingParams
        from vllm.inputs import TokensPrompt

        params = [
            SamplingParams(
                **{"temperature": 0.0, **sampling}, ignore_eos=True, max_tokens=n, detokenize=False
            )
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
        if workload in NANO_SAMPLING:
            sampling = NANO_SAMPLING[workload]
            prompts, lens = nano(2048 if workload == "nano2048" else 256)
            self.generate(self.batch(256, 16), [64] * 256, **sampling)
            return f"{sum(lens) / self.generate(prompts, lens, **sampling):.0f} tok/s"
        prefix = self.batch(1, 4096)[0]  # shared-prefix and shared-cascade
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
        command = [sys.executable, __file__, "--one", "--tp", str(args.tp)]
        command += ["--max-num-batched-tokens", str(args.max_num_batched_tokens)]
        # What vLLM prints goes to standard error; standard output is the table.
        codes = [
            subprocess.run([*command, "--models", m, "--workloads", w], check=False).returncode
            for m in models
            for w in workloads
        ]
        sys.exit(max(map(abs, codes)) > 0)
    table = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    model, workload = models[0], workloads[0]
    options = {"max_num_batched_tokens": args.max_num_batched_tokens, **MORE.get(workload, {})}
    result = Bench(model, args.tp, options).run(workload)
    print(ROW.format(workload, model, args.tp, result, "-"), file=table, flush=True)


if __name__ == "__main__":
    main()
