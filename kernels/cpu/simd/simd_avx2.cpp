#define LL_SIMD_ISA avx2
#define LL_SIMD_NAME "avx2"
#define LL_SIMD_LANES 8
#include "kernels/cpu/simd/simd_impl.inl"
