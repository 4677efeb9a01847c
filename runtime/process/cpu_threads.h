#pragma once
#include "parallel/mpi/mpi_group.h"

namespace ll {

// Threads for this rank's loops: `wanted`, or (0) the processors it may use (its affinity), shared
// evenly with the ranks of `host` that may use them too, and no more than its control group's
// quota, SLURM_CPUS_PER_TASK and OMP_NUM_THREADS allow; at least one. Where mpirun bound the rank
// to a processor that nobody asked it to, the rank first takes back what mpirun itself may use.
// Called by all ranks of the host together.
int threads_of_rank(const MpiGroup& host, int wanted);

}  // namespace ll
