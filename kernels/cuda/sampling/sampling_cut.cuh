#pragma once
// Which logits top_p and min_p leave.
#include "kernels/cuda/sampling/sampling_rows.cuh"

namespace ll::cuda {

// What one logit adds to the mass of its row, in units of 2^-kMassBits.
__device__ inline uint64_t mass_of(float logit, float max, float inverse_temperature) {
  float p = expf((logit - max) * inverse_temperature);
  return static_cast<uint64_t>(__float2ll_rn(p * static_cast<float>(int64_t{1} << kMassBits)));
}

// The mass that top_p asks for.
__device__ inline int64_t wanted_mass(float top_p, int64_t total) {
  auto wanted = static_cast<int64_t>(ceil(static_cast<double>(top_p) * static_cast<double>(total)));
  return max(int64_t{1}, min(wanted, max(total, int64_t{1})));
}

// The least key that min_p leaves.
__device__ inline uint32_t least_by_min_p(const SamplingRow& row, float max) {
  bool restricts = row.temperature > 0 && row.min_p > 0;
  return restricts ? key_of(max + row.temperature * logf(row.min_p)) : 0;
}

}  // namespace ll::cuda
