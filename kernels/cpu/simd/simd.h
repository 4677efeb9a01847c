#pragma once
// The inner loops of the CPU backend, compiled once per instruction set (simd_*.cpp, all from
// simd_impl.inl); the table for this machine is chosen once. Raw pointers only: the files are built
// with different flags, so no inline function may be shared with the rest of the program.
//
// A panel holds 64 columns of the right-hand matrix: float32 [K][64]; bfloat16 [K/2][64][2], the
// pairs of inputs beside each other as vdpbf16ps and AMX want them (oneDNN's BA16a64b2a). K of a
// bfloat16 panel is padded to 32.
#include <cstdint>

#include "kernels/dtype.h"

namespace ll::cpu {

constexpr int kPanelCols = 64;
constexpr int kPanelDepth = 32;  // padding of K in bfloat16 panels

// y[m][0..63] = sum over k of x[m][k] panel[k][..], m < rows.
struct Bf16Product {
  const bf16* x;
  int64_t ldx;
  const bf16* panel;
  int64_t stride;       // elements from one pair of k to the next
  int64_t depth, rows;  // depth is even; if it is no multiple of 32, fast paths are not taken
  float* y;
  int64_t ldy;
  bool add = false;            // y += instead
  const bf16* next = nullptr;  // `depth` of a panel to call into the cache meanwhile
};

struct Simd {
  const char* name;
  bool has_tiles;  // gemm_bf16 is faster than any library from a few rows on

  // y[m][0..63] = sum over k of x[m][k] panel[k][..], m < rows, summed in the order of k, whatever
  // `rows` is. `panel_stride`: elements from one k to the next.
  void (*gemm_f32)(const float* x, int64_t ldx, const float* panel, int64_t panel_stride, int64_t k,
                   int64_t rows, float* y, int64_t ldy);
  void (*gemm_bf16)(const Bf16Product&);

  // One block of an online softmax row: weights become exp(scale * score - max), and 0 from n to
  // `width`, a multiple of 16 that `scores` has too; the running max and sum take the n >= 1 scores
  // in; returns what earlier outputs are to be multiplied by.
  float (*softmax_step_f32)(float* weights, const float* scores, int64_t n, int64_t width,
                            float scale, float* max, float* sum);
  float (*softmax_step_bf16)(bf16* weights, const float* scores, int64_t n, int64_t width,
                             float scale, float* max, float* sum);
  float (*max)(const float* x, int64_t n);             // -inf for n = 0
  float (*exp_sum)(float* x, int64_t n, float shift);  // x = exp(x - shift); returns the sum
  float (*sum_exp)(const float* x, int64_t n, float shift,
                   float scale);  // of exp((x - shift) * scale)
  void (*scale_add)(float* y, const float* x, float scale, int64_t n);  // y = y * scale + x
  float (*dot)(const float* a, const float* b, int64_t n);
  float (*dot_bf16)(const float* a, const bf16* b, int64_t n);
  void (*axpy_bf16)(float* y, const bf16* x, float a, int64_t n);  // y += a x
  void (*widen)(float* y, const bf16* x, int64_t n);
  void (*narrow)(bf16* y, const float* x, int64_t n);
  // y[r][i] = x[r][i], r < rows, i < n
  void (*narrow_rows)(bf16* y, int64_t ldy, const float* x, int64_t ldx, int64_t rows, int64_t n);
  // y[i] = silu(x[2i]) * x[2i + 1]
  void (*silu_and_mul)(float* y, const float* x, int64_t n);
  void (*silu_and_mul_bf16)(bf16* y, const bf16* x, int64_t n);
};

// The best this machine has. LITELANG_SIMD=generic|avx2|avx512|avx512_bf16 in the environment picks
// a lower one.
const Simd& simd();

// The names of all tables of the build: "generic avx2 avx512 avx512_bf16 amx".
const char* simd_names();

namespace generic {
extern const Simd kSimd;
}
namespace avx2 {
extern const Simd kSimd;
}
namespace avx512 {
extern const Simd kSimd;
}
namespace avx512_bf16 {
extern const Simd kSimd;
}

namespace amx {
extern const Simd kSimd;
}

}  // namespace ll::cpu
