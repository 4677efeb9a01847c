#pragma once
#include <chrono>
#include <csignal>

namespace ll {

// What ends it: nobody else sends it, and mpirun does not catch it.
constexpr int kEndedByRank = SIGSTKFLT;

// Whether this process is a child of Open MPI's mpirun or of its daemon on another host.
bool is_started_by_mpirun();

// For a rank that ends because the job is broken. mpirun waits for ever for the ranks of a host
// that is gone, and its daemon for mpirun: a process of its own looks whether the one that started
// this rank has ended within `patience`, and ends it otherwise. Nothing where another launcher
// started it.
void end_stuck_starter(std::chrono::milliseconds patience);

}  // namespace ll
