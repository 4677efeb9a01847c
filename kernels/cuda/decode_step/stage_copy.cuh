#pragma once
// How memory comes to a stage of a ring of the persistent decode kernel: from 9.0 on by the copy
// engine, which one thread asks and which counts bytes; before that by asynchronous copies of 16
// bytes a thread, by all threads of the producer warp, each of which the barrier counts once.
#include "kernels/cuda/ptx/barriers.cuh"
#include "kernels/cuda/ptx/portable.cuh"
#if __CUDA_ARCH__ >= 900
#include "kernels/cuda/ptx/bulk_copy.cuh"
#endif

namespace ll::cuda {

#if __CUDA_ARCH__ >= 900

constexpr int kProducers = 1;  // threads that copy

__device__ inline void wait_stage(uint64_t* barrier, uint32_t parity) {
  wait_barrier(barrier, parity);
}
__device__ inline void begin_stage(uint64_t* full, uint32_t bytes) {
  arrive_expecting(full, bytes);
}
__device__ inline void copy_to_stage(void* to, const void* from, uint32_t bytes, uint64_t* full) {
  copy_bulk(to, from, bytes, full);
}
__device__ inline void copy_once_to_stage(void* to, const void* from, uint32_t bytes,
                                          uint64_t* full) {
  copy_bulk_once(to, from, bytes, full);
}
__device__ inline void end_stage(uint64_t*) {}
__device__ inline void give_back(uint64_t* empty) { arrive(empty); }

#else

constexpr int kProducers = 32;

// No instruction before 9.0 sleeps until a phase is over.
__device__ inline void wait_stage(uint64_t* barrier, uint32_t parity) {
  asm volatile(
      "{\n.reg .pred p;\n"
      "again: mbarrier.test_wait.parity.shared.b64 p, [%0], %1;\n"
      "@!p bra again;\n}" ::"r"(shared_address(barrier)),
      "r"(parity)
      : "memory");
}
__device__ inline void begin_stage(uint64_t*, uint32_t) {}
__device__ inline void copy_to_stage(void* to, const void* from, uint32_t bytes, uint64_t*) {
  uint32_t at = shared_address(to);
  auto* source = static_cast<const char*>(from);
#pragma unroll 4
  for (uint32_t i = threadIdx.x % 32 * 16; i < bytes; i += 32 * 16)
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(at + i), "l"(source + i)
                 : "memory");
}
__device__ inline void copy_once_to_stage(void* to, const void* from, uint32_t bytes, uint64_t*) {
  uint32_t at = shared_address(to);
  auto* source = static_cast<const char*>(from);
  uint64_t policy;
  asm("createpolicy.fractional.L2::evict_first.b64 %0;" : "=l"(policy));
#pragma unroll 8
  for (uint32_t i = threadIdx.x % 32 * 16; i < bytes; i += 32 * 16)
    asm volatile("cp.async.cg.shared.global.L2::cache_hint [%0], [%1], 16, %2;" ::"r"(at + i),
                 "l"(source + i), "l"(policy)
                 : "memory");
}
// Arrives once this thread's copies so far are complete.
__device__ inline void end_stage(uint64_t* full) {
  __syncwarp();
  asm volatile("cp.async.mbarrier.arrive.noinc.shared.b64 [%0];" ::"r"(shared_address(full))
               : "memory");
}
__device__ inline void give_back(uint64_t* empty) {
  asm volatile(
      "{\n.reg .b64 state;\nmbarrier.arrive.shared.b64 state, [%0];\n}" ::"r"(shared_address(empty))
      : "memory");
}

#endif

// Ordinary accesses before the copy engine's, where there is one.
__device__ inline void order_shared_accesses() {
#if __CUDA_ARCH__ >= 900
  fence_shared_accesses();
#endif
}
__device__ inline void order_global_accesses() {
#if __CUDA_ARCH__ >= 900
  fence_copy_engine();
#endif
}

__device__ inline void init_stage_barrier(uint64_t* barrier, int arrivals) {
  asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(arrivals)
               : "memory");
}
// A __syncthreads must follow.
__device__ inline void publish_stage_barriers() {
#if __CUDA_ARCH__ >= 900
  publish_barriers();
#endif
}

}  // namespace ll::cuda
