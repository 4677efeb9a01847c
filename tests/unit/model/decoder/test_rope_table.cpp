#include "model/decoder/rope_table.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

using namespace ll;

namespace {

struct Known {
  int64_t position, index;
  float cosine, sine;
};

ModelConfig make_config(int64_t head_dim, const RopeConfig& rope) {
  ModelConfig c;
  c.head_dim = head_dim;
  c.rope = rope;
  return c;
}

// Angles are float32 numbers of up to 1e5: an ulp of a frequency turns them by so much at the end.
float slack(int64_t position) {
  return 1e-6f + static_cast<float>(position) * std::numeric_limits<float>::epsilon();
}

void check_table(const ModelConfig& config, int64_t num_positions,
                 const std::vector<Known>& known) {
  std::vector<float> table = rope_table(config, num_positions);
  REQUIRE(table.size() == static_cast<size_t>(num_positions * config.head_dim));
  for (const Known& k : known) {
    CAPTURE(k.position);
    CAPTURE(k.index);
    auto at = static_cast<size_t>(k.position * config.head_dim + k.index);
    CHECK(std::abs(table[at] - k.cosine) <= slack(k.position));
    CHECK(std::abs(table[at + static_cast<size_t>(config.head_dim / 2)] - k.sine) <=
          slack(k.position));
  }
}

}  // namespace

// The numbers are transformers' (Qwen2RotaryEmbedding in float32).
TEST_CASE("default angles") {
  check_table(make_config(64, {.theta = 1e6}), 32768,
              {{0, 0, 1.0f, 0.0f},
               {1, 0, 0.540302336f, 0.841470957f},
               {1, 1, 0.796457887f, 0.604694009f},
               {1, 31, 1.0f, 1.53992653e-06f},
               {17, 3, -0.0570445061f, -0.998371601f},
               {1000, 16, 0.540302336f, 0.841470957f},
               {32767, 0, 0.982263327f, 0.187506557f},
               {32767, 15, 0.9813779f, 0.192086995f},
               {32767, 30, 0.996982634f, 0.0776246414f}});
  check_table(make_config(16, {.theta = 1e4}), 4096,
              {{1, 7, 0.99999994f, 0.000316227786f},
               {17, 3, 0.858946681f, 0.512065053f},
               {1000, 4, -0.839071512f, -0.54402113f},
               {4095, 3, -0.771254778f, -0.636526585f},
               {4095, 6, -0.578907907f, -0.815392911f}});
}

TEST_CASE("yarn as Qwen2.5 has it: factor 4 over 32768 positions") {
  RopeConfig rope{
      .type = RopeConfig::Type::kYarn, .theta = 1e6, .factor = 4, .original_max_position = 32768};
  check_table(make_config(128, rope), 131072,
              {{0, 0, 1.13862944f, 0.0f},
               {1, 0, 0.615204155f, 0.958123624f},
               {1, 1, 0.788505316f, 0.821423411f},
               {1, 63, 1.13862944f, 3.53242058e-07f},
               {17, 3, -0.983169436f, 0.574329853f},
               {1000, 32, 0.937856436f, 0.645679712f},
               {131071, 24, 0.766740739f, 0.841775298f},
               {131071, 30, 0.329979211f, 1.08976638f},
               {131071, 31, 0.00158207025f, -1.13862836f},
               {131071, 33, -0.895374119f, 0.703407586f},
               {131071, 36, 0.0114038065f, -1.13857234f},
               {131071, 40, 1.02220345f, -0.501574576f},
               {131071, 62, 1.13718009f, 0.0574307814f}});
}

TEST_CASE("yarn with every option") {
  RopeConfig rope{.type = RopeConfig::Type::kYarn,
                  .theta = 1e4,
                  .factor = 2,
                  .original_max_position = 4096,
                  .attention_factor = 1.25,
                  .beta_fast = 16,
                  .beta_slow = 2,
                  .truncate = false};
  check_table(make_config(64, rope), 8192,
              {{1, 1, 0.914701223f, 0.851951718f},
               {17, 3, 0.790977478f, 0.967912436f},
               {1000, 16, 0.0161269549f, 1.24989605f},
               {8191, 12, 0.198169887f, 1.23419154f},
               {8191, 15, 0.631408811f, -1.07880616f},
               {8191, 18, -0.129219607f, -1.24330294f},
               {8191, 30, 0.932888448f, 0.831997037f}});
}

TEST_CASE("cosine and sine belong together, and more positions change none of the first") {
  RopeConfig rope{
      .type = RopeConfig::Type::kYarn, .theta = 1e5, .factor = 8, .original_max_position = 512};
  ModelConfig config = make_config(32, rope);
  auto table = rope_table(config, 700), head = rope_table(config, 100);
  double scale = std::pow(0.1 * std::log(8.0) + 1, 2);
  for (size_t p = 0; p < 700; ++p)
    for (size_t i = 0; i < 16; ++i) {
      double c = table[p * 32 + i], s = table[p * 32 + 16 + i];
      REQUIRE(std::abs(c * c + s * s - scale) < 1e-6);
    }
  CHECK(std::equal(head.begin(), head.end(), table.begin()));
  CHECK(rope_table(config, 0).empty());
}
