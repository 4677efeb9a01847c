#pragma once
// What one rank of a grid holds of a model: which heads, FFN columns, vocabulary rows, part of the
// hidden dimension.
//
// 1D (x = z = c = 1) is Megatron [Shoeybi et al. 2019]: q, k, v, gate and up by rows, o and down by
// columns. Parts may be uneven, so that any y up to the number of query heads works: up to y = KV
// heads a rank has whole KV groups; beyond that a KV head is replicated and its query heads are
// dealt to the ranks that hold it.
#include <optional>
#include <string>

#include "model/model_config.h"
#include "parallel/grid_shape.h"
#include "parallel/shard_spec.h"

namespace ll {

struct ModelShard {
  Range hidden;    // of the residual stream: [0, E) unless x > 1
  Range heads;     // query heads
  Range kv_heads;  // KV heads they read
  Range ffn;       // columns of gate and up
  Range vocab;     // rows of embedding and head

  int64_t qkv_rows(const ModelConfig& config) const {
    return (heads.size + 2 * kv_heads.size) * config.head_dim;
  }
};

ModelShard shard_of(const ModelConfig& config, const GridShape& grid, const GridPlace& place);

// Why the grid cannot run the model; nothing if it can.
std::optional<std::string> why_illegal(const ModelConfig& config, const GridShape& grid);

// The grid for `num_ranks` when the configuration says auto, or for the given shape; throws Error
// (usage) with the reason and the nearest number of ranks that works.
GridShape choose_grid(const ModelConfig& config, const std::optional<GridShape>& wanted,
                      int num_ranks);

}  // namespace ll
