#pragma once
// Boxes by which the copy engine brings queries, keys and values.
#include <cuda.h>

#include "kernels/ops.h"

namespace ll::cuda {

// Boxes of 64 positions times 64 dims of one head; row (page * KH + head) * 64 + position.
CUtensorMap kv_map(TensorView pool);
// Boxes of 64 dims times `heads` times `tokens` of the query heads.
CUtensorMap query_map(const AttentionArgs& a, int heads, int tokens);

}  // namespace ll::cuda
