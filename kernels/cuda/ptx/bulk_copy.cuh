#pragma once
// The copy engine (TMA): asynchronous copies of many bytes, or of a tensor's boxes, to shared
// memory and back; from 9.0 on. Tiles in shared memory are lines of 64 bfloat16 (128 bytes) under
// the 128-byte swizzle and start at multiples of 1024 bytes.
#include <cuda.h>

#include "kernels/cuda/ptx/portable.cuh"

namespace ll::cuda {

// What the copies named ..._once bring is not read again: the L2 cache gives it up first.
__device__ inline uint64_t read_once_policy() {
  uint64_t policy;
  asm("createpolicy.fractional.L2::evict_first.b64 %0;" : "=l"(policy));
  return policy;
}

// Addresses and size are multiples of 16 bytes.
__device__ inline void copy_bulk(void* to, const void* from, uint32_t bytes, uint64_t* barrier) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::
          "r"(shared_address(to)),
      "l"(from), "r"(bytes), "r"(shared_address(barrier))
      : "memory");
}

__device__ inline void copy_bulk_once(void* to, const void* from, uint32_t bytes,
                                      uint64_t* barrier) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint "
      "[%0], [%1], %2, [%3], %4;" ::"r"(shared_address(to)),
      "l"(from), "r"(bytes), "r"(shared_address(barrier)), "l"(read_once_policy())
      : "memory");
}

// The map's box at (x, y, ...), innermost coordinate first; what lies outside of the tensor becomes
// zero and counts as copied.
__device__ inline void copy_tile(void* to, const CUtensorMap* map, int x, int y,
                                 uint64_t* barrier) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes "
      "[%0], [%1, {%3, %4}], [%2];" ::"r"(shared_address(to)),
      "l"(map), "r"(shared_address(barrier)), "r"(x), "r"(y)
      : "memory");
}
__device__ inline void copy_tile_once(void* to, const CUtensorMap* map, int x, int y,
                                      uint64_t* barrier) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint "
      "[%0], [%1, {%3, %4}], [%2], %5;" ::"r"(shared_address(to)),
      "l"(map), "r"(shared_address(barrier)), "r"(x), "r"(y), "l"(read_once_policy())
      : "memory");
}
__device__ inline void copy_tile(void* to, const CUtensorMap* map, int x, int y, int z,
                                 uint64_t* barrier) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes "
      "[%0], [%1, {%3, %4, %5}], [%2];" ::"r"(shared_address(to)),
      "l"(map), "r"(shared_address(barrier)), "r"(x), "r"(y), "r"(z)
      : "memory");
}
__device__ inline void copy_tile(void* to, const CUtensorMap* map, int x, int y, int z, int w,
                                 uint64_t* barrier) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes "
      "[%0], [%1, {%3, %4, %5, %6}], [%2];" ::"r"(shared_address(to)),
      "l"(map), "r"(shared_address(barrier)), "r"(x), "r"(y), "r"(z), "r"(w)
      : "memory");
}

// The way back: what lies outside of the tensor is not written. Stores are waited for in groups, by
// the thread that issued them; earlier ordinary writes to `from` need fence_shared_accesses and a
// barrier.
__device__ inline void store_tile(const CUtensorMap* map, int x, int y, const void* from) {
  asm volatile(
      "cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [%0, {%1, %2}], [%3];" ::"l"(map),
      "r"(x), "r"(y), "r"(shared_address(from))
      : "memory");
}
__device__ inline void commit_stores() { asm volatile("cp.async.bulk.commit_group;" ::: "memory"); }
// Until all that is stored has been read.
__device__ inline void wait_stores_read() {
  asm volatile("cp.async.bulk.wait_group.read 0;" ::: "memory");
}

__device__ inline void prefetch_map(const CUtensorMap* map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory");
}

// Orders earlier ordinary accesses (those wait_for_previous() made visible) before the copy
// engine's.
__device__ inline void fence_copy_engine() { asm volatile("fence.proxy.async;" ::: "memory"); }

// The same of device memory alone: it does not wait for copies to shared memory under way.
__device__ inline void fence_global_copies() {
  asm volatile("fence.proxy.async.global;" ::: "memory");
}

// Orders a thread's ordinary accesses to shared memory before those of wgmma and the copy engine; a
// barrier must follow.
__device__ inline void fence_shared_accesses() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

}  // namespace ll::cuda
