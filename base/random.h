#pragma once
// Counter-based random numbers, the same on every device.
#include <array>
#include <cstdint>

namespace ll {

// Philox4x32-10 [Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"].
constexpr std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, uint64_t key) {
  auto k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    uint64_t a = uint64_t{0xD2511F53u} * counter[0], b = uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<uint32_t>(b >> 32) ^ counter[1] ^ k0, static_cast<uint32_t>(b),
               static_cast<uint32_t>(a >> 32) ^ counter[3] ^ k1, static_cast<uint32_t>(a)};
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return counter;
}

// The 32 random bits of one token of one draw: tokens share a Philox block in fours.
constexpr uint32_t token_bits(uint64_t seed, int32_t position, int32_t token) {
  auto id = static_cast<uint32_t>(token);
  return philox({id / 4, static_cast<uint32_t>(position), 0, 0}, seed)[id % 4];
}

// Uniform in (0, 1), never 0 or 1 in float32 as far as the low end goes: small values keep their
// relative precision.
constexpr float to_uniform(uint32_t bits) { return (static_cast<float>(bits) + 0.5f) * 0x1p-32f; }

// Uniform in (-1, 1) for element `index`: splitmix64's finaliser [Steele et al. 2014].
constexpr float weight_noise(uint64_t seed, uint64_t index) {
  uint64_t z = index + seed * 0x9E3779B97F4A7C15u + 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  z ^= z >> 31;
  return (static_cast<float>(static_cast<uint32_t>(z >> 40)) + 0.5f) * 0x1p-23f - 1.0f;
}

}  // namespace ll
