#pragma once
// What the attention kernels of all families share.
#include "kernels/cuda/attention/attention_kernels.h"
#include "kernels/cuda/device/device_math.cuh"
#include "kernels/ops.h"

namespace ll::cuda {

// softmax(x * scale) = exp2(x * scale_log2 - ...)
float scale_log2(int64_t head_dim);

constexpr float kInfinity = __builtin_inff();

// log(sum of exp(x * scale)) from the largest x and the sum of exp2((x - max) * scale_log2).
__device__ inline float log_sum(float max, float sum, float scale_log2) {
  constexpr float kLog2 = 0.69314718f;
  return sum > 0 ? (max * scale_log2 + __log2f(sum)) * kLog2 : -kInfinity;
}

}  // namespace ll::cuda
