#pragma once
// A whole run: every rank sets up its part of the model, rank 0 runs the job, the others follow its
// plans.
#include "parallel/mpi/mpi_environment.h"
#include "runtime/config/engine_config.h"

namespace ll {

// Collective over the world. Throws Error; the caller ends the job.
void run_job(const EngineConfig& config, const MpiEnvironment& mpi);

}  // namespace ll
