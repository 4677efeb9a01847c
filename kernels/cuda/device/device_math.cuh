#pragma once
// Sixteen-byte vectors of bfloat16, and sums and maxima over a warp or a block.
#include <cuda_runtime.h>

#include <cstdint>

#include "kernels/dtype.h"
#include "kernels/ops.h"

namespace ll::cuda {

constexpr int kVectorWidth = 8;  // bfloat16 values of a 16-byte load
constexpr uint32_t kFullWarp = 0xffffffffu;

__device__ inline float low_half(uint32_t pair) { return __uint_as_float(pair << 16); }
__device__ inline float high_half(uint32_t pair) { return __uint_as_float(pair & 0xffff0000u); }

__device__ inline uint32_t pack_pair(float low, float high) {
  uint32_t pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
}

__device__ inline float widen(bf16 x) { return __uint_as_float(uint32_t{x.bits} << 16); }
__device__ inline bf16 narrow(float x) { return {static_cast<uint16_t>(pack_pair(x, 0.0f))}; }

__device__ inline void unpack(uint4 v, float (&x)[kVectorWidth]) {
  uint32_t pairs[] = {v.x, v.y, v.z, v.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    x[2 * i] = low_half(pairs[i]);
    x[2 * i + 1] = high_half(pairs[i]);
  }
}

__device__ inline uint4 pack(const float (&x)[kVectorWidth]) {
  return make_uint4(pack_pair(x[0], x[1]), pack_pair(x[2], x[3]), pack_pair(x[4], x[5]),
                    pack_pair(x[6], x[7]));
}

__device__ inline void prefetch_to_l2(const void* p) {
  asm volatile("prefetch.global.L2 [%0];" ::"l"(p));
}

// x / (1 + exp(-x)) [Elfwing et al. 2018]
__device__ inline float silu(float x) { return __fdividef(x, 1.0f + __expf(-x)); }

// Adds in float32 and rounds: the sum of squares sees what the next layer will add to.
__device__ inline uint4 add_rounded(uint4 a, uint4 b) {
  float x[kVectorWidth], y[kVectorWidth];
  unpack(a, x);
  unpack(b, y);
#pragma unroll
  for (int i = 0; i < kVectorWidth; ++i) x[i] += y[i];
  return pack(x);
}

__device__ inline float square_sum(uint4 v) {
  float x[kVectorWidth], sum = 0;
  unpack(v, x);
#pragma unroll
  for (int i = 0; i < kVectorWidth; ++i) sum = fmaf(x[i], x[i], sum);
  return sum;
}

__device__ inline uint4 scaled(uint4 v, float scale, uint4 weight) {
  float x[kVectorWidth], w[kVectorWidth];
  unpack(v, x);
  unpack(weight, w);
#pragma unroll
  for (int i = 0; i < kVectorWidth; ++i) x[i] = x[i] * scale * w[i];
  return pack(x);
}

// To a row's sum of squares (ops.h).
__device__ inline void add_squares(uint64_t* sum, float squares) {
  atomicAdd(reinterpret_cast<unsigned long long*>(sum), __float2ull_rn(squares * kSquaresUnit));
}
__device__ inline float row_scale_of(uint64_t sum, float width, float eps) {
  return rsqrtf(static_cast<float>(sum) / (kSquaresUnit * width) + eps);
}

// The same value in every lane: each step adds the same two numbers in both of its lanes.
__device__ inline float warp_sum(float x) {
#pragma unroll
  for (int lane = 16; lane > 0; lane /= 2) x += __shfl_xor_sync(kFullWarp, x, lane);
  return x;
}

__device__ inline float warp_max(float x) {
#pragma unroll
  for (int lane = 16; lane > 0; lane /= 2) x = fmaxf(x, __shfl_xor_sync(kFullWarp, x, lane));
  return x;
}

__device__ inline unsigned long long warp_max(unsigned long long x) {
  auto high = static_cast<uint32_t>(x >> 32);
  uint32_t highest = __reduce_max_sync(kFullWarp, high);
  uint32_t low = __reduce_max_sync(kFullWarp, high == highest ? static_cast<uint32_t>(x) : 0u);
  return static_cast<unsigned long long>(highest) << 32 | low;
}

// Over all warps of the block (whole warps, at most 32), in every thread. `shared` holds a value a
// warp; it must not be in use, and the next use must be behind a barrier.
__device__ inline float block_sum(float x, float* shared) {
  int warp = threadIdx.x / 32, lane = threadIdx.x % 32, num_warps = blockDim.x / 32;
  x = warp_sum(x);
  if (lane == 0) shared[warp] = x;
  __syncthreads();
  return warp_sum(lane < num_warps ? shared[lane] : 0.0f);
}

template <class T>
__device__ T block_max(T x, T* shared) {
  int warp = threadIdx.x / 32, lane = threadIdx.x % 32, num_warps = blockDim.x / 32;
  x = warp_max(x);
  if (lane == 0) shared[warp] = x;
  __syncthreads();
  return warp_max(shared[lane < num_warps ? lane : 0]);
}

}  // namespace ll::cuda
