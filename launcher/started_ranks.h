#pragma once
// The ranks that mpirun started on this host.
#include <sys/types.h>

#include <string>

namespace ll {

// Sends a signal to those children of `starter` that run the program at this path; what else it
// started (ssh, srun) hears nothing.
void signal_started_ranks(pid_t starter, const std::string& program, int signal);

}  // namespace ll
