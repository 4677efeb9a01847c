#pragma once
// The door to the CPU backend.
#include "kernels/backend.h"

namespace ll::cpu {

// With `num_threads` threads; 0: as many as OpenMP has.
Backend open(int num_threads);

}  // namespace ll::cpu
