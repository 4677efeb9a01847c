#pragma once
// Clusters: blocks that run at the same time and reach each other's shared memory; from 9.0 on.
#include "kernels/cuda/ptx/portable.cuh"

namespace ll::cuda {

// Until all threads of the cluster that have not left are here; what they wrote is visible then.
__device__ inline void arrive_at_cluster() {
  asm volatile("barrier.cluster.arrive.release;" ::: "memory");
}
// Orders nothing but what publish_barriers() did.
__device__ inline void arrive_at_cluster_relaxed() {
  asm volatile("barrier.cluster.arrive.relaxed;" ::: "memory");
}
__device__ inline void wait_for_cluster() {
  asm volatile("barrier.cluster.wait.acquire;" ::: "memory");
}
__device__ inline void sync_cluster() {
  arrive_at_cluster();
  wait_for_cluster();
}

// Where member `rank` of the cluster has what is at this address of the own shared memory.
__device__ inline uint32_t member_address(const void* own, int rank) {
  uint32_t there;
  asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(there) : "r"(shared_address(own)), "r"(rank));
  return there;
}

// Stores at a member's address; its barrier, also a member's address, counts the eight bytes.
__device__ inline void store_at_member(uint32_t to, float2 v, uint32_t barrier) {
  asm volatile(
      "st.async.shared::cluster.mbarrier::complete_tx::bytes.v2.f32 [%0], {%1, %2}, [%3];" ::"r"(
          to),
      "f"(v.x), "f"(v.y), "r"(barrier)
      : "memory");
}

// The same of many bytes at once (a multiple of 16, as both addresses), by the copy engine, which
// must know of earlier writes to `from` (fence_shared_accesses).
__device__ inline void copy_to_member(uint32_t to, const void* from, uint32_t bytes,
                                      uint32_t barrier) {
  asm volatile(
      "cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes [%0], [%1], %2, "
      "[%3];" ::"r"(to),
      "r"(shared_address(from)), "r"(bytes), "r"(barrier)
      : "memory");
}

}  // namespace ll::cuda
