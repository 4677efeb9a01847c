#pragma once
// What the parts of a layer share. They live in a Decoder, which has all of it.
#include "kernels/backend.h"
#include "model/decoder/activations.h"
#include "model/shard/model_shard.h"
#include "parallel/process_grid.h"

namespace ll {

struct LayerContext {
  const ModelConfig& config;
  const ModelShard& shard;
  const Backend& backend;
  const ProcessGrid& grid;
  Activations& activations;

  bool splits_hidden() const { return shard.hidden_parts > 1; }
};

// Rows of one or more columns of the grid: [columns, stride, width], of which the first rows of
// each column count.
struct ColumnRows {
  TensorView data;
  int64_t stride = 0;

  TensorView of_column(size_t column, int64_t rows) const {
    return data.rows(static_cast<int64_t>(column) * stride, rows);
  }
};

}  // namespace ll
