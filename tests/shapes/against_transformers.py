#!/usr/bin/env python3
"""Random Qwen2 models of many shapes: what litelang answers in bfloat16 against transformers in float32.

For every token that litelang chose, transformers sees the same prompt and the tokens before; printed is how far
below the best logit the token's own is there, and how far its log-probability is from litelang's, beside the
latter for transformers in bfloat16. Fails where either is more than 0.15. Needs torch and transformers; runs them
on the GPU where there is one.
usage: against_transformers.py [--family sm80,sm90] LITELANG [MODEL...]     LITELANG: build/release/launcher/litelang
--family: the kernels to ask for, one after the other; without it those that serve the GPU.
"""
import itertools
import json
import math
import os
import pathlib
import random
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import save_file
from transformers import Qwen2Config, Qwen2ForCausalLM

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
MARGIN = 0.15
# hidden, layers, heads, KV heads, head_dim, FFN, vocabulary, tied
SHAPES = {
    "small": (128, 3, 2, 1, 64, 96, 333, False),
    "one-head-each": (640, 2, 5, 5, 128, 1736, 32001, False),
    "group-8": (1024, 2, 16, 2, 64, 1000, 5003, True),
    "group-16": (2048, 2, 16, 1, 128, 4104, 9001, True),
    "group-3": (1152, 2, 9, 3, 128, 3000, 10007, False),
    "group-5": (320, 4, 5, 1, 64, 840, 50257, True),
    "dim-32": (224, 3, 7, 7, 32, 600, 2048, False),
    "dim-80": (1280, 2, 16, 4, 80, 3408, 8000, True),
    "dim-96": (480, 3, 5, 1, 96, 1224, 3001, False),
    "dim-256": (1024, 2, 4, 2, 256, 2048, 4000, False),
    "wide-heads": (512, 3, 8, 2, 128, 1408, 6000, False),
    "odd": (330, 2, 5, 1, 66, 777, 1237, False),
    "like-0.5b": (896, 6, 14, 2, 64, 4864, 151936, True),
    "like-1.5b": (1536, 4, 12, 2, 128, 8960, 151936, True),
    "like-7b": (3584, 2, 28, 4, 128, 18944, 152064, False),
    "yarn": (512, 3, 8, 2, 64, 1408, 3000, False),
}
PROMPTS = [1, 2, 3, 7, 16, 31, 63, 64, 65, 127, 128, 129, 191, 255, 257, 400, 513, 1000, 1500, 2900]
SHARED = [70, 300, 300, 1400]  # begin alike, as every third of the prompts
RUNS = {
    "as it is": [],
    "small steps": ["scheduler.max_num_batched_tokens=111", "scheduler.max_num_seqs=5"],
    "few pages": ["enforce_eager=true", "kv_cache.radix=false", "kv_cache.memory_bytes={pages}"],
}


def make_model(name, folder):
    """Writes the model; returns it in float32, and the bytes of 64 pages of 64 positions."""
    hidden, layers, heads, kv_heads, dim, ffn, vocab, tied = SHAPES[name]
    sizes = dict(hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads, num_key_value_heads=kv_heads,
                 head_dim=dim, intermediate_size=ffn, vocab_size=vocab, tie_word_embeddings=tied,
                 max_position_embeddings=4096, rms_norm_eps=1e-6, bos_token_id=0, eos_token_id=0)
    yarn = {"factor": 4.0, "original_max_position_embeddings": 1024} if name == "yarn" else {}
    kind = "yarn" if yarn else "default"
    torch.manual_seed(sum(map(ord, name)))
    with torch.device(DEVICE):
        model = Qwen2ForCausalLM(Qwen2Config(**sizes, rope_parameters={"rope_type": kind, "rope_theta": 1e6, **yarn}))
    with torch.no_grad():
        for key, p in model.named_parameters():
            if "norm" in key:
                p.copy_(1 + 0.2 * torch.randn_like(p))
            elif key.endswith("bias"):
                p.normal_(0, 0.3)
            elif "embed" in key:
                p.normal_(0, 1.5 / math.sqrt(hidden) if tied else 1)
            else:
                p.normal_(0, 1 / math.sqrt(p.shape[1]))
            p.copy_(p.bfloat16())  # the parameters alone: the angles of RoPE stay float32
    save_file({key: p.bfloat16().contiguous().cpu() for key, p in model.named_parameters()},
              folder / "model.safetensors", metadata={"format": "pt"})
    config = dict(sizes, architectures=["Qwen2ForCausalLM"], model_type="qwen2", hidden_act="silu", rope_theta=1e6,
                  torch_dtype="bfloat16")
    if yarn:
        config["rope_scaling"] = {"type": "yarn", **yarn}
    (folder / "config.json").write_text(json.dumps(config))
    return model.eval(), 64 * 64 * 2 * 2 * layers * kv_heads * dim


def make_requests(vocab, rng):
    """Prompts and numbers of tokens to answer with."""
    base = [rng.randrange(1, vocab) for _ in range(max(PROMPTS))]
    fresh = lambda n: [rng.randrange(1, vocab) for _ in range(n)]
    requests = [(fresh(n) if i % 3 else base[:n], rng.choice([1, 2, 9, 33, 70])) for i, n in enumerate(PROMPTS)]
    requests += [(base[:n] + fresh(rng.randrange(1, 90)), 20) for n in SHARED]
    rng.shuffle(requests)
    return requests


def answer(litelang, family, folder, requests, settings):
    """Tokens and log-probabilities of each request."""
    body = {"temperature": 0, "logprobs": 1, "return_token_ids": True, "ignore_eos": True}
    lines = [{"custom_id": str(i), "method": "POST", "url": "/v1/completions",
              "body": {"prompt": prompt, "max_tokens": count, **body}} for i, (prompt, count) in enumerate(requests)]
    (folder / "in.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    command = [litelang, "batch", "-m", folder, "-i", folder / "in.jsonl", "-o", folder / "out.jsonl", "--overwrite",
               "--mem_usage", "0.5"]
    for setting in settings:
        command += ["--set", setting]
    environment = dict(os.environ, LITELANG_CUDA_FAMILY=family) if family else None
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=300, env=environment)
    answers = {}
    for line in open(folder / "out.jsonl"):
        one = json.loads(line)
        choice = one["response"]["body"]["choices"][0]
        answers[int(one["custom_id"])] = choice["token_ids"], choice["logprobs"]["token_logprobs"]
    return [answers[i] for i in range(len(requests))]


@torch.no_grad()
def logits_of(model, prompt, tokens):
    """The logits that chose each of the tokens."""
    return model(torch.tensor([prompt + tokens[:-1]], device=DEVICE)).logits[0, len(prompt) - 1:].float()


def compare(model, rounded, requests, answers):
    """Tokens, how many are not the best, the worst gap, and the worst distances of log-probabilities."""
    count = differ = 0
    gap = off = off_rounded = 0.0
    for (prompt, wanted), (tokens, logprobs) in zip(requests, answers):
        assert len(tokens) == wanted, f"{len(tokens)} tokens instead of {wanted}"
        chosen = torch.tensor(tokens, device=DEVICE)[:, None]
        logits = logits_of(model, prompt, tokens)
        gaps = logits.max(-1).values - logits.gather(1, chosen)[:, 0]
        exact = logits.log_softmax(-1).gather(1, chosen)[:, 0]
        theirs = logits_of(rounded, prompt, tokens).log_softmax(-1).gather(1, chosen)[:, 0]
        count, differ = count + wanted, differ + int((gaps > 0).sum())
        gap = max(gap, float(gaps.max()))
        off = max(off, float((exact - torch.tensor(logprobs, device=DEVICE)).abs().max()))
        off_rounded = max(off_rounded, float((exact - theirs).abs().max()))
    return count, differ, gap, off, off_rounded


def main():
    arguments, families = sys.argv[1:], [None]
    if arguments[:1] == ["--family"]:
        families, arguments = arguments[1].split(",") if arguments[1:] else [], arguments[2:]
    if not arguments or not families:
        sys.exit(__doc__.strip())
    litelang, names = arguments[0], arguments[1:] or list(SHAPES)
    if unknown := [name for name in names if name not in SHAPES]:
        sys.exit(f"against_transformers: unknown model {unknown[0]}; known are {', '.join(SHAPES)}")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    failed = False
    family_column = "" if families == [None] else "     "
    print(f"{'model':14} {'run':12}{family_column} tokens  not best  worst gap  logprobs off  (transformers' bfloat16)")
    for name in names:
        with tempfile.TemporaryDirectory() as path:
            folder = pathlib.Path(path)
            model, pages = make_model(name, folder)
            rounded = Qwen2ForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).to(DEVICE).eval()
            requests = make_requests(SHAPES[name][6], random.Random(name))
            for family, (run, settings) in itertools.product(families, RUNS.items()):
                title = f"{name:14} {run:12}" + (f" {family}" if family else "")
                try:
                    answers = answer(litelang, family, folder, requests, [s.format(pages=pages) for s in settings])
                except subprocess.CalledProcessError as error:
                    print(f"{title} {error.stderr.decode()[-300:]}")
                    failed = True
                    continue
                count, differ, gap, off, theirs = compare(model, rounded, requests, answers)
                failed |= max(gap, off) > MARGIN
                print(f"{title} {count:6} {differ:9} {gap:10.3f} {off:13.3f}  ({theirs:.3f})", flush=True)
    sys.exit("some differ" if failed else 0)


if __name__ == "__main__":
    main()
