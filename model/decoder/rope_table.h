#pragma once
// The angles of the rotary embedding, as transformers computes them (in float32, attention factor
// included).
#include <vector>

#include "model/config/model_config.h"

namespace ll {

// [num_positions, head_dim]: head_dim/2 cosines, then head_dim/2 sines.
std::vector<float> rope_table(const ModelConfig& config, int64_t num_positions);

}  // namespace ll
