#pragma once
// One model on one grid after another, without reading its weights again: what steps take, beside
// what the planner expects.
#include "runtime/config/engine_config.h"
#include "runtime/rank/local_model.h"

namespace ll {

// Collective over the world; rank 0 prints the report.
void bench_grids(LocalModel& local, const EngineConfig& config);

}  // namespace ll
