#pragma once
// Parts of a softmax over one group of heads, and their sum [Milakov & Gimelshein 2018].
#include "kernels/cuda/attention/attention_outputs.cuh"
#include "kernels/cuda/ptx/portable.cuh"

namespace ll::cuda {

// What a cut group leaves: sums over its positions of exp2((s - max) scale) v, and the same of 1.
template <int kHeadDim>
struct Part {
  float out[kMaxGroup][kHeadDim];
  float2 max_and_sum[kMaxGroup];
};

// A warpgroup sums up parts: each thread has kWidth dims of one head.
template <int kHeadDim>
struct Merged {
  static constexpr int kWidth = kMaxGroup * kHeadDim / 128,
                       kBatch = 4;  // parts whose loads are under way at once
  float max = -kInfinity, sum = 0, out[kWidth] = {};

  __device__ static int head() { return threadIdx.x * kWidth / kHeadDim; }
  __device__ static int dim() { return threadIdx.x * kWidth % kHeadDim; }

  // In the order of the parts, whoever finished when.
  template <class PartAt>
  __device__ void fold(int count, float scale, PartAt part_at) {
#pragma unroll 1
    for (int first = 0; first < count; first += kBatch) {
      float2 max_and_sum[kBatch];
      float4 values[kBatch][kWidth / 4];
#pragma unroll
      for (int i = 0; i < kBatch; ++i) {
        if (first + i >= count) continue;
        const Part<kHeadDim>& part = *part_at(first + i);
        max_and_sum[i] = __ldcg(&part.max_and_sum[head()]);
#pragma unroll
        for (int w = 0; w < kWidth / 4; ++w)
          values[i][w] = __ldcg(reinterpret_cast<const float4*>(&part.out[head()][dim()]) + w);
      }
#pragma unroll
      for (int i = 0; i < kBatch; ++i)
        if (first + i < count) add(max_and_sum[i], values[i], scale);
    }
  }

  __device__ void add(float2 other, const float4 (&values)[kWidth / 4], float scale) {
    float top = fmaxf(max, other.x);
    float mine = exp2_fast((max - top) * scale), others = exp2_fast((other.x - top) * scale);
    max = top;
    sum = sum * mine + other.y * others;
#pragma unroll
    for (int w = 0; w < kWidth / 4; ++w) {
      const float x[] = {values[w].x, values[w].y, values[w].z, values[w].w};
#pragma unroll
      for (int i = 0; i < 4; ++i) out[4 * w + i] = out[4 * w + i] * mine + x[i] * others;
    }
  }

  __device__ void store_part(Part<kHeadDim>& part) const {
#pragma unroll
    for (int w = 0; w < kWidth / 4; ++w)
      __stcg(reinterpret_cast<float4*>(&part.out[head()][dim()]) + w,
             make_float4(out[4 * w], out[4 * w + 1], out[4 * w + 2], out[4 * w + 3]));
    if (dim() == 0) __stcg(&part.max_and_sum[head()], make_float2(max, sum));
  }

  __device__ void store_whole(const GroupOut& to) const {
    float inverse = __fdividef(1.0f, sum);
    if (to.log_sums && dim() == 0) to.log_sums[head()] = log_sum(max, sum, to.scale_log2);
    auto* pairs = reinterpret_cast<uint32_t*>(to.values + head() * kHeadDim + dim());
#pragma unroll
    for (int i = 0; i < kWidth / 2; ++i)
      pairs[i] = pack_pair(out[2 * i] * inverse, out[2 * i + 1] * inverse);
  }
};

}  // namespace ll::cuda
