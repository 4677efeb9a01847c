#pragma once
// What a step costs on a grid: times of products, of attention and of exchanges, from the times of
// a machine. Knows sizes, not models. What the grids' steps have in common that is next to nothing
// is left out.
#include <cstdint>

#include "parallel/grid_shape.h"
#include "runtime/planning/machine_rates.h"
#include "runtime/planning/rank_sizes.h"
#include "runtime/schedule/step_work.h"

namespace ll {

// Seconds of a step of one replica; `gathered`: with weights gathered over the grid's z columns.
double step_seconds(const MachineRates& machine, const GridShape& grid, const RankSizes& sizes,
                    const StepWork& work, bool gathered);

// Rows from which a prefill step is faster gathered; 0: none up to `max_rows`.
int64_t gather_threshold(const MachineRates& machine, const GridShape& grid, const RankSizes& sizes,
                         int64_t max_rows);

}  // namespace ll
