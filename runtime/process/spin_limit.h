#pragma once

namespace ll {

// Threads of a parallel loop that wait for each other spin for 0.1 to 0.4 ms, longer than a step
// takes from one loop to the next, and then sleep: where another program wants the processor, a
// thread that spins keeps it from the very one it waits for. GNU's OpenMP reads its limit before
// main begins, so the first call starts the program anew with GOMP_SPINCOUNT set; OMP_WAIT_POLICY
// or GOMP_SPINCOUNT in the environment are left as they are. For the first line of main.
void limit_spinning(char** argv);

}  // namespace ll
