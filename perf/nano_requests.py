#!/usr/bin/env python3
"""The requests of `litelang bench throughput --preset nano` as a file for `litelang batch`.

Prompts are token ids. Every option goes into each request's body as it is, its value read as JSON.

usage: nano_requests.py [--temperature 0.7] [--top_p 0.8] [--logprobs 5] ... > nano.jsonl
"""
import json
import random
import sys


def body_of(options):
    """Fields of a body: --name value, --name value, ..."""
    if len(options) % 2 or not all(name.startswith("--") for name in options[::2]):
        sys.exit(__doc__)
    return {name[2:]: json.loads(value) for name, value in zip(options[::2], options[1::2])}


def main():
    body = {"model": "nano", "ignore_eos": True, **body_of(sys.argv[1:])}
    rng = random.Random(0)
    count = 256
    prompts = [[rng.randint(0, 10000) for _ in range(rng.randint(100, 1024))] for _ in range(count)]
    for number, prompt in enumerate(prompts):
        request = {"custom_id": f"nano-{number}", "method": "POST", "url": "/v1/completions"}
        length = {"max_tokens": rng.randint(100, 1024)}
        print(json.dumps({**request, "body": {**body, **length, "prompt": prompt}}))


if __name__ == "__main__":
    main()
