#pragma once
// What kernels use of Hopper that C++ has no words for: mbarriers, the copy engine (TMA), wgmma,
// register budgets. Tiles in shared memory are lines of 64 bfloat16 (128 bytes) under the 128-byte
// swizzle and start at multiples of 1024 bytes.
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
// must know of earlier writes to `from` (fence_shared_writes).
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
// the thread that issued them; earlier ordinary writes to `from` need fence_shared_writes and a
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

// Orders a thread's ordinary writes to shared memory before reads of wgmma and the copy engine; a
// barrier must follow.
__device__ inline void fence_shared_writes() {
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

// ---- wgmma: products of a warpgroup, sums in registers

// Of a tile's lines: K-major, a line holds 64 K of one row; MN-major, 64 rows of one K.
enum class Major : int { kK = 0, kMn = 1 };

// The wgmma operand at `tile`. K-major: a step of 16 K is 32 bytes on. MN-major: a step of 16 K is
// 16 lines on, and `column_bytes` lie between one run of 64 rows and the next (K-major operands
// ignore it).
//
// Its low word holds the address in units of 16 bytes, its high word is always the same: where
// descriptors are computed between products, they are computed as low words.
__device__ inline uint32_t descriptor_low(const void* tile, int column_bytes = 16) {
  return (shared_address(tile) & 0x3ffff) >> 4 | static_cast<uint32_t>(column_bytes >> 4) << 16;
}
__device__ inline uint64_t descriptor_of(uint32_t low) {
  constexpr uint64_t kSwizzle128 = uint64_t{1} << 62, kEightLines = uint64_t{1024 >> 4} << 32;
  return low | kEightLines | kSwizzle128;
}
__device__ inline uint64_t tile_descriptor(const void* tile, int column_bytes = 16) {
  return descriptor_of(descriptor_low(tile, column_bytes));
}

__device__ inline void begin_products() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ inline void commit_products() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

// Until at most kPending committed groups are under way.
template <int kPending>
__device__ inline void wait_products() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}

// Naming the sums here keeps the compiler from reading them above the wait.
template <int kSums>
__device__ inline void settle(float (&sums)[kSums]) {
#pragma unroll
  for (int s = 0; s < kSums; ++s) asm volatile("" : "+f"(sums[s])::"memory");
}

template <int kTiles, int kSums>
__device__ inline void finish_products(float (&sums)[kTiles][kSums]) {
  wait_products<0>();
#pragma unroll
  for (int t = 0; t < kTiles; ++t) settle(sums[t]);
}

// multiply(d, a, b, accumulate): d (+)= a b^T, a 64 lines, b N = 2 * size(d) lines, 16 K; a and b
// are descriptors of bfloat16 tiles. multiply_registers: a is in registers, in the layout of d
// rounded to bfloat16 pairs; b is MN-major. Of the 64 x N sums, thread t of the warpgroup has, for
// column block j of 8, in d[4 j + 2 h + e]: line 16 (t / 32) + t % 32 / 4 + 8 h, column 8 j + t % 4
// * 2 + e.

#define LL_NAMES_4 "%0, %1, %2, %3"
#define LL_NAMES_8 LL_NAMES_4 ", %4, %5, %6, %7"
#define LL_NAMES_16 LL_NAMES_8 ", %8, %9, %10, %11, %12, %13, %14, %15"
#define LL_NAMES_12 LL_NAMES_8 ", %8, %9, %10, %11"
#define LL_NAMES_20 LL_NAMES_16 ", %16, %17, %18, %19"
#define LL_NAMES_24 LL_NAMES_20 ", %20, %21, %22, %23"
#define LL_NAMES_32 LL_NAMES_24 ", %24, %25, %26, %27, %28, %29, %30, %31"
#define LL_NAMES_40 LL_NAMES_32 ", %32, %33, %34, %35, %36, %37, %38, %39"
#define LL_NAMES_48 LL_NAMES_40 ", %40, %41, %42, %43, %44, %45, %46, %47"
#define LL_NAMES_56 LL_NAMES_48 ", %48, %49, %50, %51, %52, %53, %54, %55"
#define LL_NAMES_64 LL_NAMES_56 ", %56, %57, %58, %59, %60, %61, %62, %63"
#define LL_NAMES_72 LL_NAMES_64 ", %64, %65, %66, %67, %68, %69, %70, %71"
#define LL_NAMES_80 LL_NAMES_72 ", %72, %73, %74, %75, %76, %77, %78, %79"
#define LL_SUMS_4(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define LL_SUMS_8(i) LL_SUMS_4(i), LL_SUMS_4(i + 4)
#define LL_SUMS_16(i) LL_SUMS_8(i), LL_SUMS_8(i + 8)
#define LL_SUMS_12(i) LL_SUMS_8(i), LL_SUMS_4(i + 8)
#define LL_SUMS_20(i) LL_SUMS_16(i), LL_SUMS_4(i + 16)
#define LL_SUMS_24(i) LL_SUMS_16(i), LL_SUMS_8(i + 16)
#define LL_SUMS_32(i) LL_SUMS_16(i), LL_SUMS_16(i + 16)
#define LL_SUMS_40(i) LL_SUMS_32(i), LL_SUMS_8(i + 32)
#define LL_SUMS_48(i) LL_SUMS_32(i), LL_SUMS_16(i + 32)
#define LL_SUMS_56(i) LL_SUMS_32(i), LL_SUMS_24(i + 32)
#define LL_SUMS_64(i) LL_SUMS_32(i), LL_SUMS_32(i + 32)
#define LL_SUMS_72(i) LL_SUMS_64(i), LL_SUMS_8(i + 64)
#define LL_SUMS_80(i) LL_SUMS_64(i), LL_SUMS_16(i + 64)

// SUMS = N / 2; A to TB are the names of the operands that follow the sums.
#define LL_MULTIPLY(N, SUMS, A, B, P, TA, TB)                                                 \
  template <Major kMajorA = Major::kK, Major kMajorB = Major::kK>                             \
  __device__ inline void multiply(float(&d)[SUMS], uint64_t a, uint64_t b, bool accumulate) { \
    asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, " P                                        \
                 ", 0;\n"                                                                     \
                 "wgmma.mma_async.sync.aligned.m64n" #N                                       \
                 "k16.f32.bf16.bf16 "                                                         \
                 "{" LL_NAMES_##SUMS "}, " A ", " B ", p, 1, 1, " TA ", " TB ";\n}"           \
                 : LL_SUMS_##SUMS(0)                                                          \
                 : "l"(a), "l"(b), "r"(static_cast<int>(accumulate)),                         \
                   "n"(static_cast<int>(kMajorA)), "n"(static_cast<int>(kMajorB)));           \
  }
#define LL_MULTIPLY_REGISTERS(N, SUMS, A0, A1, A2, A3, B, P)                                      \
  __device__ inline void multiply_registers(float(&d)[SUMS], const uint32_t* a, uint64_t b,       \
                                            bool accumulate) {                                    \
    asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, " P                                            \
                 ", 0;\n"                                                                         \
                 "wgmma.mma_async.sync.aligned.m64n" #N                                           \
                 "k16.f32.bf16.bf16 "                                                             \
                 "{" LL_NAMES_##SUMS "}, {" A0 ", " A1 ", " A2 ", " A3 "}, " B ", p, 1, 1, 1;\n}" \
                 : LL_SUMS_##SUMS(0)                                                              \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b),                            \
                   "r"(static_cast<int>(accumulate)));                                            \
  }

LL_MULTIPLY(8, 4, "%4", "%5", "%6", "%7", "%8")
LL_MULTIPLY(16, 8, "%8", "%9", "%10", "%11", "%12")
LL_MULTIPLY(24, 12, "%12", "%13", "%14", "%15", "%16")
LL_MULTIPLY(32, 16, "%16", "%17", "%18", "%19", "%20")
LL_MULTIPLY(40, 20, "%20", "%21", "%22", "%23", "%24")
LL_MULTIPLY(48, 24, "%24", "%25", "%26", "%27", "%28")
LL_MULTIPLY(64, 32, "%32", "%33", "%34", "%35", "%36")
LL_MULTIPLY(80, 40, "%40", "%41", "%42", "%43", "%44")
LL_MULTIPLY(96, 48, "%48", "%49", "%50", "%51", "%52")
LL_MULTIPLY(112, 56, "%56", "%57", "%58", "%59", "%60")
LL_MULTIPLY(128, 64, "%64", "%65", "%66", "%67", "%68")
LL_MULTIPLY(144, 72, "%72", "%73", "%74", "%75", "%76")
LL_MULTIPLY(160, 80, "%80", "%81", "%82", "%83", "%84")
LL_MULTIPLY_REGISTERS(64, 32, "%32", "%33", "%34", "%35", "%36", "%37")
LL_MULTIPLY_REGISTERS(128, 64, "%64", "%65", "%66", "%67", "%68", "%69")

#undef LL_MULTIPLY
#undef LL_MULTIPLY_REGISTERS
#undef LL_NAMES_4
#undef LL_NAMES_8
#undef LL_NAMES_12
#undef LL_NAMES_16
#undef LL_NAMES_20
#undef LL_NAMES_24
#undef LL_NAMES_32
#undef LL_NAMES_40
#undef LL_NAMES_48
#undef LL_NAMES_56
#undef LL_NAMES_64
#undef LL_NAMES_72
#undef LL_NAMES_80
#undef LL_SUMS_4
#undef LL_SUMS_8
#undef LL_SUMS_12
#undef LL_SUMS_16
#undef LL_SUMS_20
#undef LL_SUMS_24
#undef LL_SUMS_32
#undef LL_SUMS_40
#undef LL_SUMS_48
#undef LL_SUMS_56
#undef LL_SUMS_64
#undef LL_SUMS_72
#undef LL_SUMS_80

}  // namespace ll::cuda
