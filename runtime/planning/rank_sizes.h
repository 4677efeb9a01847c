#pragma once
// The sizes of a rank's part of a model, by which steps are expected to cost something and have a
// floor; the part of the one rank of a grid of one is the whole.
#include <cstdint>
#include <vector>

#include "model/config/model_config.h"
#include "parallel/grid_shape.h"

namespace ll {

struct RankSizes {
  // A matrix of a layer. Merged columns have one each, or share one: then it is not gathered.
  struct Matrix {
    int64_t elements = 0;
    bool is_shared = false;
  };
  int64_t layers = 0, hidden = 0;  // of the whole
  std::vector<Matrix> matrices;
  int64_t hidden_part = 0, qkv = 0, slice = 0, ffn = 0, vocab = 0;
  int64_t heads = 0, kv_heads = 0, head_dim = 0;
  int64_t element_bytes = 2;
  bool merged_share_heads = false;

  // What steps read and multiply of it: matrices only, since norms and biases are next to nothing.
  int64_t layer_elements() const;  // of a layer's matrices
  int64_t head_elements() const { return vocab * hidden; }
  double weight_bytes() const;      // of all matrices but the embedding
  double kv_bytes() const;          // of one position, all layers
  double flops_per_row() const;     // two per weight of the layers
  double flops_per_sample() const;  // two per weight of the head
  double flops_per_pair() const;  // of a query and a position: scores and weighted sum, all layers
};

// Those of the grid's first rank, whose parts are the largest.
RankSizes rank_sizes(const ModelConfig& config, const GridShape& grid, DType dtype);

}  // namespace ll
