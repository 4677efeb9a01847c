#pragma once
// Qwen2 models of two layers that no file holds.
#include "model/config/model_config.h"

namespace ll::test {

// The FFN has nine parts of eight columns and the vocabulary an odd number of rows: both are uneven
// on nearly any number of ranks.
inline ModelConfig tiny_config(int64_t heads, int64_t kv_heads, bool tied = true) {
  ModelConfig c;
  c.head_dim = 16;
  c.hidden_size = heads * c.head_dim;
  c.intermediate_size = 72 + 24 * heads;
  c.num_layers = 2;
  c.num_heads = heads;
  c.num_kv_heads = kv_heads;
  c.vocab_size = 301;
  c.max_position = 4096;
  c.tie_word_embeddings = tied;
  c.dtype = DType::f32;
  c.rope.theta = 1e4;
  c.eos_token_ids = {0};
  return c;
}

}  // namespace ll::test
