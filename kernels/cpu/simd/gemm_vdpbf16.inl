// Products with bfloat16 panels by vdpbf16ps; included inside a namespace of its own by each
// simd_<isa>.cpp that has the instruction.
#include <immintrin.h>

#include "kernels/cpu/simd/simd.h"

namespace ll::cpu::LL_SIMD_ISA {
namespace {

inline __m512bh pair_at(const bf16* p) {
  int32_t bits;
  __builtin_memcpy(&bits, p, sizeof bits);
  return (__m512bh)_mm512_set1_epi32(bits);
}

// How far ahead of its use a panel is called: what the memory takes to answer, at its full rate.
constexpr int64_t kAheadPairs = 16;

template <int kRows>
void dot_rows(const Bf16Product& p, const bf16* x, float* y) {
  constexpr int kUnroll = kPanelCols / 16;
  // One row cannot hide the latency of its four chains, so it sums even and odd pairs apart.
  constexpr int kChains = kRows == 1 ? 2 : 1;
  __m512 sum[kChains][kRows][kUnroll];
  for (auto& chain : sum)
    for (auto& row : chain)
      for (auto& v : row) v = _mm512_setzero_ps();
  if (p.add)
    for (int m = 0; m < kRows; ++m)
      for (int u = 0; u < kUnroll; ++u) sum[0][m][u] = _mm512_loadu_ps(y + m * p.ldy + u * 16);
  auto add = [&](int chain, int64_t pair) {
    const bf16* w = p.panel + pair * p.stride;
    __m512bh column[kUnroll];
    for (int u = 0; u < kUnroll; ++u) {
      column[u] = (__m512bh)_mm512_loadu_si512(w + u * 32);
      _mm_prefetch(reinterpret_cast<const char*>(w + kAheadPairs * p.stride + u * 32), _MM_HINT_T0);
    }
    for (int m = 0; m < kRows; ++m) {
      __m512bh xs = pair_at(x + m * p.ldx + pair * 2);
      for (int u = 0; u < kUnroll; ++u)
        sum[chain][m][u] = _mm512_dpbf16_ps(sum[chain][m][u], column[u], xs);
    }
  };
  int64_t pairs = p.depth / 2, pair = 0;
  for (; pair + kChains <= pairs; pair += kChains)
    for (int chain = 0; chain < kChains; ++chain) add(chain, pair + chain);
  for (; pair < pairs; ++pair) add(0, pair);
  for (int m = 0; m < kRows; ++m)
    for (int u = 0; u < kUnroll; ++u) {
      __m512 total = sum[0][m][u];
      if constexpr (kChains == 2) total = _mm512_add_ps(total, sum[1][m][u]);
      _mm512_storeu_ps(y + m * p.ldy + u * 16, total);
    }
}

void gemm_vdpbf16(const Bf16Product& p) {
  for (int64_t m = 0; m < p.rows; m += 4) {
    const bf16* from = p.x + m * p.ldx;
    float* to = p.y + m * p.ldy;
    switch (p.rows - m) {
      case 1:
        dot_rows<1>(p, from, to);
        break;
      case 2:
        dot_rows<2>(p, from, to);
        break;
      case 3:
        dot_rows<3>(p, from, to);
        break;
      default:
        dot_rows<4>(p, from, to);
    }
  }
}

// For simd_impl.inl: what the portable code takes ten instructions for.
inline __m256i narrow_avx512_bf16(__m512 x) { return (__m256i)_mm512_cvtneps_pbh(x); }

}  // namespace
}  // namespace ll::cpu::LL_SIMD_ISA
