#pragma once
// What one rank of a grid holds of a model: which heads, FFN columns, vocabulary rows, part of the
// hidden dimension, and KV positions.
//
// 1D (x = z = c = 1) is Megatron [Shoeybi et al. 2019]: q, k, v, gate and up by rows, o and down by
// columns. Parts may be uneven, so that any y up to the number of query heads works: up to y = KV
// heads a rank has whole KV groups; beyond that a KV head is replicated and its query heads are
// dealt to the ranks that hold it.
//
// x > 1 cuts the other side of each matrix as well. c > 1 [Helix, Bhatia et al. 2025] gives c
// columns the heads of one group, each with its share of the KV positions and of o_proj's columns,
// so that the number of heads does not limit the number of ranks.
#include <optional>
#include <string>

#include "kernels/position_split.h"
#include "model/config/layer_table.h"
#include "parallel/grid_shape.h"
#include "parallel/shard_spec.h"

namespace ll {

struct ModelShard {
  Range hidden;     // of the residual stream: [0, E) unless x > 1
  Range heads;      // query heads
  Range kv_heads;   // KV heads they read
  Range attention;  // columns of o_proj: what those heads put out, or a part of it (c > 1)
  Range ffn;        // columns of gate and up
  Range vocab;      // rows of embedding and head
  int kv_parts = 1, kv_part = 0;  // ranks that share the heads' KV positions, and which this is
  int hidden_parts = 1;           // x
  int merged_columns = 1;         // z

  int64_t qkv_rows(const ModelConfig& config) const {
    return (heads.size + 2 * kv_heads.size) * config.head_dim;
  }
  // Whether merged columns have the same heads, and so the same q, k and v.
  bool merged_share_heads() const { return kv_parts / hidden_parts % merged_columns == 0; }
  // Which positions are stored here, in pages of page_size.
  PositionSplit positions(int64_t page_size) const {
    return {kv_parts, kv_part, static_cast<int32_t>(page_size)};
  }
};

ModelShard shard_of(const ModelConfig& config, const GridShape& grid, const GridPlace& place);

// The part of a tensor's side that the shard holds.
Range range_of(const ModelConfig& config, const ModelShard& shard, Axis axis);
// The elements of a matrix or vector that the shard holds, without its bias.
int64_t elements_of(const ModelConfig& config, const ModelShard& shard, const WeightRow& row);

// A rank's part of a model, for those who ask how much it is.
struct ModelPart {
  const ModelConfig& config;
  const ModelShard& shard;
  DType dtype;
};

// Why the grid cannot run the model; nothing if it can.
std::optional<std::string> why_illegal(const ModelConfig& config, const GridShape& grid);

// The grid for `num_ranks` when the configuration says auto, or for the given shape; throws Error
// (usage) with the reason and the nearest number of ranks that works.
GridShape choose_grid(const ModelConfig& config, const std::optional<GridShape>& wanted,
                      int num_ranks);

}  // namespace ll
