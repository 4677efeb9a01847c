#pragma once
// Plans in files: those of a job that is recorded, and their replay in the place of a job.
#include <memory>

#include "parallel/mpi/mpi_environment.h"
#include "runtime/config/engine_config.h"
#include "runtime/engine/plan_file.h"
#include "runtime/rank/local_model.h"

namespace ll {

// On the first rank of each replica; null where nothing is recorded.
std::unique_ptr<PlanRecorder> plan_recorder(const LocalModel& local, const EngineConfig& config);

// Collective over the world. Throws Error for the first token that differs, and for a recording of
// another model or number of ranks.
void replay_plans(const EngineConfig& config, const MpiEnvironment& mpi);

}  // namespace ll
