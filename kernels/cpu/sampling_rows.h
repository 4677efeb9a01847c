#pragma once
// Rows of logits, and a token's score in a draw.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "base/random.h"
#include "kernels/ops.h"

namespace ll::cpu {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

inline uint32_t key_of(float logit) { return ordered_key(std::bit_cast<uint32_t>(logit)); }

inline float* row_of(const TensorView& logits, int64_t row) {
  return logits.as<float>() + row * logits.dim(1);
}

inline float gumbel(const SamplingRow& row, int32_t token) {
  float u = to_uniform(token_bits(row.seed, row.position, token));
  return -std::log(-std::log1p(-u));
}

inline bool better(const Candidate& a, const Candidate& b) {
  return a.score > b.score || (a.score == b.score && a.token < b.token);
}

// What a logit adds to the mass of its row, in units of 2^-kMassBits.
inline int64_t mass_of(float logit, float max, float temperature) {
  double p = std::exp((static_cast<double>(logit) - max) / temperature);
  return std::llround(p * static_cast<double>(int64_t{1} << kMassBits));
}

// The mass that top_p asks for.
inline int64_t wanted_mass(float top_p, int64_t total) {
  auto wanted = static_cast<int64_t>(std::ceil(top_p * static_cast<double>(total)));
  return std::clamp<int64_t>(wanted, 1, std::max<int64_t>(total, 1));
}

// The least key that min_p leaves.
inline uint32_t least_by_min_p(const SamplingRow& row, float max) {
  bool restricts = row.temperature > 0 && row.min_p > 0;
  return restricts ? key_of(max + row.temperature * std::log(row.min_p)) : 0;
}

}  // namespace ll::cpu
