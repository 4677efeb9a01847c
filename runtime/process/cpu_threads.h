#pragma once

namespace ll {

// Threads for one of `local_ranks` CPU ranks of this host: its share of the processors. mpirun
// binds each rank to one core by default; a rank bound to less than its share is unbound first.
int share_of_processors(int local_ranks);

}  // namespace ll
