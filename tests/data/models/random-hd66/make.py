#!/usr/bin/env python3
"""Writes this folder's model and golden (needs torch and transformers): a random Qwen2 with heads as no Qwen2
has them, 66 dims and nine query heads to a KV head, and widths that are odd multiples of two or odd. Attention
is as even, and logits as spread, as a trained model's. The golden is transformers' float32."""
import json
import math
import pathlib

import torch
from safetensors.torch import save_file
from transformers import Qwen2Config, Qwen2ForCausalLM

FOLDER = pathlib.Path(__file__).parent
HIDDEN, FFN, HEADS, KV_HEADS, HEAD_DIM, VOCAB, LAYERS = 130, 77, 9, 1, 66, 503, 3
LENGTHS, SHOWN, GREEDY = [1, 2, 5, 33, 64, 65, 130, 300], 4, 64

torch.manual_seed(66)
config = Qwen2Config(hidden_size=HIDDEN, intermediate_size=FFN, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
                     num_key_value_heads=KV_HEADS, head_dim=HEAD_DIM, vocab_size=VOCAB, max_position_embeddings=2048,
                     rms_norm_eps=1e-6, rope_parameters={"rope_type": "default", "rope_theta": 1e6},
                     tie_word_embeddings=False, bos_token_id=0, eos_token_id=0)
model = Qwen2ForCausalLM(config).eval()
with torch.no_grad():
    for name, p in model.named_parameters():
        if "norm" in name:
            p.copy_(1 + 0.2 * torch.randn_like(p))
        elif name.endswith("bias"):
            p.normal_(0, 0.3)
        else:
            p.normal_(0, 1 if "embed" in name else 1 / math.sqrt(p.shape[1]))
        p.copy_(p.bfloat16())  # the parameters alone: the angles of RoPE stay float32
save_file({n: p.bfloat16().contiguous() for n, p in model.named_parameters()}, FOLDER / "model.safetensors",
          metadata={"format": "pt"})
keys = dict(architectures=["Qwen2ForCausalLM"], model_type="qwen2", hidden_act="silu", hidden_size=HIDDEN,
            intermediate_size=FFN, num_hidden_layers=LAYERS, num_attention_heads=HEADS, num_key_value_heads=KV_HEADS,
            head_dim=HEAD_DIM, max_position_embeddings=2048, rope_theta=1e6, rms_norm_eps=1e-6,
            tie_word_embeddings=False, vocab_size=VOCAB, torch_dtype="bfloat16", bos_token_id=0, eos_token_id=0)
(FOLDER / "config.json").write_text(json.dumps(keys, indent=1) + "\n")


@torch.no_grad()
def run(ids, **options):
    return model(torch.tensor([ids]), **options)


def greedy(ids):
    found, ids = {"greedy": [], "margin": [], "logprob": []}, list(ids)
    for _ in range(GREEDY):
        logits = run(ids).logits[0, -1]
        top = logits.topk(2).values
        ids.append(int(logits.argmax()))
        found["greedy"].append(ids[-1])
        found["margin"].append(round(float(top[0] - top[1]), 5))
        found["logprob"].append(round(float(logits.log_softmax(-1).max()), 5))
    return found


prompts = [torch.randint(1, VOCAB, (n,)).tolist() for n in LENGTHS]
golden = {"source": "transformers float32", "hidden_of_prompt": SHOWN,
          "prompts": [{"text": None, "input_ids": p, **greedy(p)} for p in prompts]}
(FOLDER / "golden.json").write_text(json.dumps(golden) + "\n")
shown = run(prompts[SHOWN], output_hidden_states=True)
tensors = {f"last_logits.{i}": run(p).logits[0, -1].clone() for i, p in enumerate(prompts)}
tensors |= {f"hidden.{i}": h[0].clone() for i, h in enumerate(shown.hidden_states)}
tensors["all_logits"] = shown.logits[0].clone()
save_file(tensors, FOLDER / "golden.safetensors")
