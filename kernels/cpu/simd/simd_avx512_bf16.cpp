// As avx512, with vdpbf16ps for bfloat16 products.
#define LL_SIMD_ISA avx512_bf16
#define LL_SIMD_NAME "avx512_bf16"
#define LL_SIMD_LANES 16
#define LL_SIMD_GEMM_BF16 gemm_vdpbf16
#define LL_SIMD_NARROW(x) (VecH) narrow_avx512_bf16((__m512)(x))
#define LL_SIMD_RECIPROCAL(x) (Vec) reciprocal_avx512((__m512)(x))
#include "kernels/cpu/simd/avx512_math.inl"
#include "kernels/cpu/simd/gemm_vdpbf16.inl"
#include "kernels/cpu/simd/simd_impl.inl"
