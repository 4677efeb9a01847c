#pragma once
// What is known of a GPU before any kernel runs on it, and how it is named in messages. Knows no
// CUDA, so that builds without it test it.
#include <cstddef>
#include <string>
#include <string_view>

#include "kernels/cuda/device/kernel_family.h"

namespace ll::cuda {

struct GpuFacts {
  std::string name;  // as the driver has it: "NVIDIA A100-SXM4-40GB MIG 3g.20gb"
  std::string uuid;  // "GPU-" or "MIG-", then 8-4-4-4-12 hexadecimal digits
  ComputeCapability capability{};
  int num_sms = 0;
  size_t memory_bytes = 0, shared_bytes = 0;    // of the GPU; that a block may have
  int driver_version = 0, runtime_version = 0;  // of CUDA: 13000 is 13.0
};

// What part of a GPU the name says this is: "a MIG slice", "a vGPU", or "" for a whole one.
const char* slice_of(std::string_view name);

// "NVIDIA H200", or "NVIDIA A100-SXM4-40GB MIG 3g.20gb (a MIG slice)".
std::string title(const GpuFacts& gpu);

// All of it in a line, with the family that serves it or what that needs.
std::string describe(const GpuFacts& gpu);

// The GPU for a rank that is number `local_rank` of its host and sees so many: each its own where a
// rank sees all of them, the only one where a launcher shows each rank one.
constexpr int gpu_of(int local_rank, int num_visible) { return local_rank % num_visible; }

}  // namespace ll::cuda
