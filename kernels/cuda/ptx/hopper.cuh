#pragma once
// What kernels use of Hopper that C++ has no words for: mbarriers, clusters, the copy engine
// (TMA), register budgets; wgmma.cuh has the products. Tiles in shared memory are lines of 64
// bfloat16 (128 bytes) under the 128-byte swizzle and start at multiples of 1024 bytes.
#include <cuda.h>
#include <cuda_runtime.h>

#include <cstdint>

namespace ll::cuda {

__device__ inline uint32_t shared_address(const void* p) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(p));
}

// The block's dynamic shared memory, from its next multiple of 1024 bytes on; launch with
// kSharedSlack bytes more.
constexpr size_t kSharedSlack = 1024;
__device__ inline char* dynamic_shared() {
  extern __shared__ char shared_bytes[];
  return shared_bytes + (-shared_address(shared_bytes) &
                         1023);  // a sum, so that the compiler knows it for shared memory
}

// ---- mbarriers

__device__ inline void init_barrier(uint64_t* barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)),
               "r"(arrivals)
               : "memory");
}

// Makes initialised barriers known to the copy engine; a __syncthreads must follow.
__device__ inline void publish_barriers() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

// Arrives, and lets the phase end only when `bytes` have been copied.
__device__ inline void arrive_expecting(uint64_t* barrier, uint32_t bytes) {
  asm volatile(
      "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)),
      "r"(bytes)
      : "memory");
}

__device__ inline void arrive(uint64_t* barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier))
               : "memory");
}

// Until the phase of this parity is over; before the first phase, parity 1 is.
__device__ inline void wait_barrier(uint64_t* barrier, uint32_t parity) {
  asm volatile(
      "{\n.reg .pred p;\n"
      "again: mbarrier.try_wait.parity.shared::cta.b64 p, [%0], %1;\n"
      "@p bra over;\nbra again;\nover:\n}" ::"r"(shared_address(barrier)),
      "r"(parity)
      : "memory");
}

// Where a ring of stages stands: the stage and the parity of its phase.
struct RingPosition {
  int stage = 0;
  uint32_t parity = 0;

  __device__ void advance(int num_stages) {
    if (++stage == num_stages) stage = 0, parity ^= 1;
  }
};

// ---- named barriers of the block: `count` threads in all arrive at or wait at barrier `id` (0 is
// __syncthreads')

__device__ inline void sync_some(int id, int count) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(count) : "memory");
}
__device__ inline void arrive_some(int id, int count) {
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(count) : "memory");
}

// ---- clusters: blocks that run at the same time and reach each other's shared memory

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

// ---- registers: a warpgroup hands registers back, or takes some that another gave (all its warps
// must call)

template <int kRegisters>
__device__ inline void shrink_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
}
template <int kRegisters>
__device__ inline void grow_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
}

// ---- asynchronous copies to shared memory

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

// ---- arithmetic

// One instruction: exp2f would spend three more on subnormal results.
__device__ inline float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

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
