#pragma once
// The door to the CUDA backend; a build without CUDA links no_cuda.cpp instead.
#include "kernels/backend.h"

namespace ll::cuda {

// Whether the build has CUDA and the machine a GPU.
bool has_device();

// Throws Error when the build or the machine has no CUDA, or there is no GPU `local_rank`.
Backend open(int local_rank);

}  // namespace ll::cuda
