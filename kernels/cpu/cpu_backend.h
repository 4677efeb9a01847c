#pragma once
// The door to the CPU backend.
#include <vector>

#include "base/version_row.h"
#include "kernels/backend.h"

namespace ll::cpu {

// With `num_threads` threads; 0: as many as OpenMP has.
Backend open(int num_threads);

// The versions of the CPU and oneDNN.
std::vector<VersionRow> versions();

}  // namespace ll::cpu
