#include "model/decoder/rope_table.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace ll {
namespace {

// YaRN [Peng et al. 2023]: low frequencies are interpolated, high ones kept, a ramp between.
void stretch(const RopeConfig& rope, int64_t dim, std::vector<float>& frequencies) {
  auto boundary = [&](double rotations) {
    return static_cast<double>(dim) *
           std::log(static_cast<double>(rope.original_max_position) /
                    (rotations * 2 * std::numbers::pi)) /
           (2 * std::log(rope.theta));
  };
  double low = boundary(rope.beta_fast), high = boundary(rope.beta_slow);
  if (rope.truncate) low = std::floor(low), high = std::ceil(high);
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(dim - 1));
  if (low == high) high += 0.001;
  for (size_t i = 0; i < frequencies.size(); ++i) {
    auto ramp =
        static_cast<float>(std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0));
    float kept = frequencies[i], interpolated = kept / static_cast<float>(rope.factor);
    frequencies[i] = interpolated * ramp + kept * (1 - ramp);
  }
}

}  // namespace

std::vector<float> rope_table(const ModelConfig& config, int64_t num_positions) {
  int64_t dim = config.head_dim, half = dim / 2;
  const RopeConfig& rope = config.rope;
  std::vector<float> frequencies;
  for (int64_t i = 0; i < half; ++i)
    frequencies.push_back(1.0f / static_cast<float>(std::pow(
                                     rope.theta, static_cast<double>(static_cast<float>(2 * i) /
                                                                     static_cast<float>(dim)))));
  float factor = 1;
  if (rope.type == RopeConfig::Type::kYarn) {
    stretch(rope, dim, frequencies);
    double asked = rope.attention_factor;
    factor = static_cast<float>(asked > 0          ? asked
                                : rope.factor <= 1 ? 1.0
                                                   : 0.1 * std::log(rope.factor) + 1);
  }
  std::vector<float> table(static_cast<size_t>(num_positions * dim));
  for (int64_t p = 0; p < num_positions; ++p)
    for (int64_t i = 0; i < half; ++i) {
      float angle = static_cast<float>(p) * frequencies[static_cast<size_t>(i)];
      auto at = static_cast<size_t>(p * dim + i);
      table[at] = static_cast<float>(std::cos(static_cast<double>(angle))) * factor;
      table[at + static_cast<size_t>(half)] =
          static_cast<float>(std::sin(static_cast<double>(angle))) * factor;
    }
  return table;
}

}  // namespace ll
