#pragma once
// What a step costs on a grid: times of products, of attention and of exchanges, from the times of
// a machine. Knows sizes, not models. What the grids' steps have in common that is next to nothing
// is left out.
#include <cstdint>
#include <vector>

#include "parallel/grid_shape.h"
#include "runtime/planning/machine_rates.h"
#include "runtime/schedule/step_work.h"

namespace ll {

// A rank's part of a stack of layers.
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
};

// Seconds of a step of one replica; `gathered`: with weights gathered over the grid's z columns.
double step_seconds(const MachineRates& machine, const GridShape& grid, const RankSizes& sizes,
                    const StepWork& work, bool gathered);

// Rows from which a prefill step is faster gathered; 0: none up to `max_rows`.
int64_t gather_threshold(const MachineRates& machine, const GridShape& grid, const RankSizes& sizes,
                         int64_t max_rows);

}  // namespace ll
