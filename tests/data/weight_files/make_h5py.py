#!/usr/bin/env python3
"""Writes h5py.h5: a weight file as another program may lay it out (needs h5py and numpy).

Old file format, B-tree chunk index with partial chunks at the edges, gzip and shuffle filters, contiguous
datasets, and mixed element types. Element i of a tensor is (7 i + length of its name) mod 251.
"""
import json

import h5py
import numpy as np

HIDDEN, FFN, HEADS, KV_HEADS, VOCAB, HEAD_DIM = 32, 48, 4, 2, 60, 8
CONFIG = dict(architectures=["Qwen2ForCausalLM"], model_type="qwen2", hidden_act="silu", hidden_size=HIDDEN,
              intermediate_size=FFN, num_hidden_layers=1, num_attention_heads=HEADS,
              num_key_value_heads=KV_HEADS, max_position_embeddings=64, rope_theta=1e6, rms_norm_eps=1e-6,
              tie_word_embeddings=True, vocab_size=VOCAB, torch_dtype="bfloat16", eos_token_id=0)
LAYER = "model.layers.0."
SHAPES = {"model.embed_tokens.weight": (VOCAB, HIDDEN),
          LAYER + "input_layernorm.weight": (HIDDEN,),
          LAYER + "self_attn.q_proj.weight": (HEADS * HEAD_DIM, HIDDEN),
          LAYER + "self_attn.q_proj.bias": (HEADS * HEAD_DIM,),
          LAYER + "self_attn.k_proj.weight": (KV_HEADS * HEAD_DIM, HIDDEN),
          LAYER + "self_attn.k_proj.bias": (KV_HEADS * HEAD_DIM,),
          LAYER + "self_attn.v_proj.weight": (KV_HEADS * HEAD_DIM, HIDDEN),
          LAYER + "self_attn.v_proj.bias": (KV_HEADS * HEAD_DIM,),
          LAYER + "self_attn.o_proj.weight": (HIDDEN, HEADS * HEAD_DIM),
          LAYER + "post_attention_layernorm.weight": (HIDDEN,),
          LAYER + "mlp.gate_proj.weight": (FFN, HIDDEN),
          LAYER + "mlp.up_proj.weight": (FFN, HIDDEN),
          LAYER + "mlp.down_proj.weight": (HIDDEN, FFN),
          "model.norm.weight": (HIDDEN,)}


def bfloat16():
    kind = h5py.h5t.IEEE_F32LE.copy()
    kind.set_fields(15, 7, 8, 0, 7)
    kind.set_precision(16)
    kind.set_size(2)
    kind.set_ebias(127)
    return kind


with h5py.File("h5py.h5", "w") as file:
    file.attrs["litelang_format"] = 1
    config = np.frombuffer(json.dumps(CONFIG).encode(), np.uint8)
    file.create_dataset("litelang/config.json", data=config, compression="gzip")
    for name, shape in SHAPES.items():
        values = ((7 * np.arange(np.prod(shape)) + len(name)) % 251).reshape(shape).astype(np.float32)
        if "down_proj" in name:
            file.create_dataset(name, data=values.astype(np.float16), chunks=(7, 9), compression="gzip",
                                shuffle=True)
        elif "q_proj.weight" in name:
            file.create_dataset(name, data=values.astype(np.float16), chunks=(5, 11))
        elif "up_proj" in name:
            file.create_dataset(name, data=values)
        else:
            layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            if len(name) % 2:
                layout.set_chunk(tuple(extent // 3 for extent in shape))
            dataset = h5py.h5d.create(file.id, name.encode(), bfloat16(), h5py.h5s.create_simple(shape), layout)
            dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, values)
