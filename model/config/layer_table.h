#pragma once
// The tensors of a Qwen2 model by their Hugging Face names: the one list that the converter, the
// loader and the planner walk. Missing, extra and misshapen tensors are errors that name the
// tensor.
#include <string>
#include <vector>

#include "kernels/tensor.h"
#include "model/config/model_config.h"

namespace ll {

struct WeightInfo {
  std::string name;  // "model.layers.0.self_attn.q_proj.weight"
  Shape shape;       // [out, in], or [size]
};

// Every tensor of the model in file order: embedding, layers, final norm, and lm_head unless it is
// tied.
std::vector<WeightInfo> weight_table(const ModelConfig& config);

}  // namespace ll
