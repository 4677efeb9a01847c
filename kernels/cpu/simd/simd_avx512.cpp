#define LL_SIMD_ISA avx512
#define LL_SIMD_NAME "avx512"
#define LL_SIMD_LANES 16
#define LL_SIMD_RECIPROCAL(x) (Vec) reciprocal_avx512((__m512)(x))
#include "kernels/cpu/simd/avx512_math.inl"
#include "kernels/cpu/simd/simd_impl.inl"
