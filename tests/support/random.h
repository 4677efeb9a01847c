#pragma once
// Deterministic random data for tests.
#include <cstdint>
#include <random>
#include <vector>

#include "kernels/dtype.h"

namespace ll::test {

inline std::vector<float> random_floats(int64_t n, uint64_t seed, float scale = 1.0f) {
  std::mt19937_64 rng(seed);
  std::uniform_real_distribution<float> uniform(-scale, scale);
  std::vector<float> values(static_cast<size_t>(n));
  for (float& v : values) v = uniform(rng);
  return values;
}

inline std::vector<bf16> rounded(const std::vector<float>& values) {
  std::vector<bf16> out;
  out.reserve(values.size());
  for (float v : values) out.push_back(to_bf16(v));
  return out;
}

inline std::vector<float> widened(const std::vector<bf16>& values) {
  std::vector<float> out;
  out.reserve(values.size());
  for (bf16 v : values) out.push_back(to_float(v));
  return out;
}

}  // namespace ll::test
