#pragma once
// A whole run: every rank sets up its part of the model, rank 0 runs the job, the others follow its
// plans.
#include "parallel/mpi/mpi_environment.h"
#include "runtime/config/engine_config.h"

namespace ll {

// Collective over the world. Returns this rank's exit code: rank 0's is kResumable where the job
// stopped before its end and can be gone on with. Throws Error; the caller ends the job.
ExitCode run_job(const EngineConfig& config, const MpiEnvironment& mpi);

}  // namespace ll
