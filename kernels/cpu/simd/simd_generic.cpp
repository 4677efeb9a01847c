#define LL_SIMD_ISA generic
#define LL_SIMD_NAME "generic"
#define LL_SIMD_LANES 4
#include "kernels/cpu/simd/simd_impl.inl"
