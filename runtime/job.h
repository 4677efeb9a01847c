#pragma once
// A whole run: every rank sets up its part of the model, rank 0 runs the job, the others follow its
// plans.
#include <functional>

#include "parallel/mpi/mpi_environment.h"
#include "runtime/batch/run_facts.h"
#include "runtime/config/engine_config.h"

namespace ll {

// Asked where a job records what it was run by; that may take a while.
using ProgramFacts = std::function<Program()>;

// Collective over the world. Returns this rank's exit code: rank 0's is kResumable where the job
// stopped before its end and can be gone on with. Throws Error; the caller ends the job.
ExitCode run_job(const EngineConfig& config, const MpiEnvironment& mpi,
                 const ProgramFacts& program);

}  // namespace ll
