#pragma once
// The noise of a draw, and a token's score with it.
#include "base/random.h"
#include "kernels/cuda/sampling/sampling_rows.cuh"

namespace ll::cuda {

__device__ inline float uniform_of(uint32_t bits) { return to_uniform(bits); }

// Written out, because a sum that is fused here and not there would make a draw depend on its
// slice.
__device__ inline float noisy_score(float logit, float inverse_temperature, uint32_t bits) {
  float gumbel = -logf(-log1pf(-uniform_of(bits)));
  return __fmaf_rn(logit, inverse_temperature, gumbel);
}

__device__ inline uint32_t pick(const std::array<uint32_t, 4>& block, uint32_t i) {
  return i == 0 ? block[0] : i == 1 ? block[1] : i == 2 ? block[2] : block[3];
}

// token_bits, without an index into registers.
__device__ inline uint32_t bits_of(uint64_t seed, int32_t position, int32_t token) {
  auto id = static_cast<uint32_t>(token);
  return pick(philox({id / 4, static_cast<uint32_t>(position), 0, 0}, seed), id % 4);
}

}  // namespace ll::cuda
