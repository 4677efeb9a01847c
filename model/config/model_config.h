#pragma once
// The shape of a Qwen2 or Qwen2.5 dense model, read from a Hugging Face config.json.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/dtype.h"

namespace ll {

// Rotary position embedding [Su et al. 2021]; yarn: Peng et al. 2023, as transformers computes it.
struct RopeConfig {
  enum class Type { kDefault, kYarn };
  Type type = Type::kDefault;
  double theta = 10000;
  double factor = 1;  // yarn from here on
  int64_t original_max_position = 0;
  // Scales cos and sin. parse_model_config resolves it, from mscale and mscale_all_dim where the
  // config has them; 0 in a RopeConfig made by hand: 0.1 ln(factor) + 1.
  double attention_factor = 0;
  double beta_fast = 32, beta_slow = 1;
  bool truncate = true;  // round the correction range to whole dimensions
};

struct ModelFamily;               // model/config/layer_table.h
extern const ModelFamily kQwen2;  // and Qwen2.5

struct ModelConfig {
  const ModelFamily* family = &kQwen2;
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t num_layers = 0;
  int64_t num_heads = 0;
  int64_t num_kv_heads = 0;
  int64_t head_dim = 0;
  int64_t vocab_size = 0;
  int64_t max_position = 0;  // positions a sequence may have, yarn's extension included
  float rms_norm_eps = 1e-6f;
  bool tie_word_embeddings = false;
  DType dtype = DType::bf16;  // of the weights: bfloat16, float16 or float32
  RopeConfig rope;
  std::vector<int32_t> eos_token_ids;    // empty: the config names none
  std::vector<std::string> unused_keys;  // that ask for what no model of the family has

  int64_t group_size() const { return num_heads / num_kv_heads; }
  int64_t q_size() const { return num_heads * head_dim; }
  int64_t kv_size() const { return num_kv_heads * head_dim; }
  int64_t layer_weights() const;   // elements of the matrices of a layer
  int64_t num_parameters() const;  // a tied head counts once
};

// Reads the config.json of transformers 4 (rope_theta, rope_scaling, torch_dtype) and 5
// (rope_parameters, dtype). `where` names the text in errors. Throws Error that names the key when
// the model is not a Qwen2 dense model this program runs: another architecture, sliding window in
// use, a rope type other than default and yarn, an activation other than SiLU,
// quantized weights, or sizes that cannot be. What it returns is small enough that no product of
// its sizes overflows int64_t.
ModelConfig parse_model_config(std::string_view config_json, std::string_view where);

// The defaults a model asks for in generation_config.json, as transformers means them: greedy
// unless do_sample is true, and then top_k is 50 unless it says otherwise. As constructed it is
// that of a model without the file.
struct GenerationConfig {
  std::vector<int32_t> eos_token_ids;  // empty: the config's
  float temperature = 1;               // 0: greedy
  float top_p = 1, min_p = 0, repetition_penalty = 1;
  int32_t top_k = 0;           // 0: off
  int32_t max_new_tokens = 0;  // 0: names none
  // Keys that would change what transformers generates and are not kept here.
  std::vector<std::string> unsupported;
};
// `json` is empty where the model has no such file.
GenerationConfig parse_generation_config(std::string_view json, std::string_view where);

}  // namespace ll
