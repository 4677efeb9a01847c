#pragma once
// Products of a warp, operands and sums in registers, and the loads that bring operands from shared
// memory; from 8.0 on. An 8 x 8 matrix of bfloat16 is a register a lane: lane l has elements
// 2 (l % 4) and the next of row l / 4.
#include <cuda_runtime.h>

#include <cstdint>

namespace ll::cuda {

// Four matrices; lane l gives the address of row l % 8 of number l / 8.
__device__ inline void load_matrices(uint32_t (&x)[4], uint32_t from) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
               : "r"(from)
               : "memory");
}
// The same, each one transposed.
__device__ inline void load_transposed(uint32_t (&x)[4], uint32_t from) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
               : "r"(from)
               : "memory");
}

__device__ inline uint32_t transpose_matrix(uint32_t x) {
  uint32_t y;
  asm volatile("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(y) : "r"(x));
  return y;
}

// c += a b, 16 x 16 times 16 x 8. The matrices of a: top left, bottom left, top right, bottom
// right; those of b: top, bottom, each transposed. Of c, lane l has columns 2 (l % 4) and the next
// of rows l / 4 (c[0], c[1]) and l / 4 + 8 (c[2], c[3]).
__device__ inline void multiply_matrices(float (&c)[4], const uint32_t (&a)[4], uint32_t b0,
                                         uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

}  // namespace ll::cuda
