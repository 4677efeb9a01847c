#pragma once
// wgmma: products of a warpgroup, sums in registers; 9.0a. Tiles are bulk_copy.cuh's: lines of 64
// bfloat16 under the 128-byte swizzle, from multiples of 1024 bytes on.
#include "kernels/cuda/ptx/portable.cuh"

namespace ll::cuda {

// What a tile's lines hold: K-major, a line has 64 K of one row; MN-major, 64 rows of one K.
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
