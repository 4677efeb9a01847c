#define LL_SIMD_ISA avx512
#define LL_SIMD_NAME "avx512"
#define LL_SIMD_LANES 16
#include "kernels/cpu/simd_impl.inl"
