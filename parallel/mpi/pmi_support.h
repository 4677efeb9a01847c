#pragma once

namespace ll {

// Whether this MPI library can be started by srun --mpi=pmi2. False only where that is certain:
// MPI_Init would end the process with a page of text that does not say what to type.
bool may_know_pmi2();

}  // namespace ll
