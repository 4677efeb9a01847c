#pragma once
// The door to the CUDA backend; a build without CUDA links no_cuda.cpp instead.
#include <vector>

#include "base/version_row.h"
#include "kernels/backend.h"

namespace ll::cuda {

// Whether the build has CUDA and the machine a GPU.
bool has_device();

// A line for each GPU that this process sees: what it is, and which kernels serve it.
std::vector<std::string> describe_devices();

// Throws Error when the build or the machine has no CUDA, or there is no GPU `local_rank`.
Backend open(int local_rank);

// Any thread but the one that opened it, before it uses the GPU.
void enter_device();

// The versions of CUDA and its driver.
std::vector<VersionRow> versions();

}  // namespace ll::cuda
