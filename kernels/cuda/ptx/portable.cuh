#pragma once
// What C++ has no words for and every GPU from 8.0 on has: shared memory's addresses, named
// barriers, single instructions.
#include <cuda_runtime.h>

#include <cstdint>

namespace ll::cuda {

__device__ inline uint32_t shared_address(const void* p) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(p));
}

// The block's dynamic shared memory, from its next multiple of `kAlignment` bytes on; launch with
// shared_slack(kAlignment) bytes more.
constexpr size_t shared_slack(size_t alignment) { return alignment - 16; }
template <size_t kAlignment>
__device__ char* dynamic_shared() {
  extern __shared__ __align__(16) char shared_bytes[];
  return shared_bytes + (-shared_address(shared_bytes) &
                         (kAlignment - 1));  // a sum: the compiler then knows it for shared memory
}

// The same of 1024 bytes.
constexpr size_t kSharedSlack = 1024;
__device__ inline char* dynamic_shared() { return dynamic_shared<1024>(); }

// Named barriers of the block: `count` threads in all arrive at or wait at barrier `id` (0 is
// __syncthreads').
__device__ inline void sync_some(int id, int count) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(count) : "memory");
}
__device__ inline void arrive_some(int id, int count) {
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(count) : "memory");
}

// One instruction: exp2f would spend three more on subnormal results.
__device__ inline float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// The counter before. What this thread knew to be written is visible to whoever adds in order
// later. The result need not be waited for; see_added is for when it is looked at.
__device__ inline uint32_t add_released(uint32_t* counter, uint32_t x) {
  uint32_t before;
  asm volatile("atom.release.gpu.global.add.u32 %0, [%1], %2;"
               : "=r"(before)
               : "l"(counter), "r"(x)
               : "memory");
  return before;
}
// What those knew who added before an add_released of this thread is visible from here on.
__device__ inline void see_added() { asm volatile("fence.acq_rel.gpu;" ::: "memory"); }

// The counter before. What this thread knew to be written is visible to whoever adds later, and the
// other way round.
__device__ inline uint32_t add_ordered(uint32_t* counter, uint32_t x) {
  uint32_t before;
  asm volatile("atom.acq_rel.gpu.global.add.u32 %0, [%1], %2;"
               : "=r"(before)
               : "l"(counter), "r"(x)
               : "memory");
  return before;
}

}  // namespace ll::cuda
