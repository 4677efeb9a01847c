#pragma once
// cp.async: each thread copies 16 bytes to shared memory past its registers; from 8.0 on.
#include "kernels/cuda/ptx/portable.cuh"

namespace ll::cuda {

// Sixteen bytes, past L1; zeros instead, without a read, where `is_there` is false.
__device__ inline void copy_async(uint32_t to, const void* from, bool is_there = true) {
  asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(to), "l"(from),
               "r"(is_there ? 16 : 0)
               : "memory");
}

// What this thread has copied since the last call is a group.
__device__ inline void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Until all but the newest kGroups of this thread's groups are there; for this thread alone, others
// need a barrier.
template <int kGroups>
__device__ void wait_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kGroups) : "memory");
}

}  // namespace ll::cuda
