// Included by the simd_<isa>.cpp of AVX-512 for simd_impl.inl.
#include <immintrin.h>

namespace ll::cpu::LL_SIMD_ISA {
namespace {

// 14 bits from a table and one step of Newton's: a third of a division's time. Too large an x for a
// normal 1/x gives 0.
inline __m512 reciprocal_avx512(__m512 x) {
  __m512 guess = _mm512_maskz_rcp14_ps(0xffff, x);  // unmasked, GCC 12 warns of its own header
  return _mm512_mul_ps(guess, _mm512_fnmadd_ps(x, guess, _mm512_set1_ps(2.0f)));
}

}  // namespace
}  // namespace ll::cpu::LL_SIMD_ISA
