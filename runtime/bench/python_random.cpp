#include "runtime/bench/python_random.h"

#include <bit>

namespace ll {

PythonRandom::PythonRandom(uint32_t seed) {
  auto mix = [&](size_t i, uint32_t factor) {
    return state_[i] ^ ((state_[i - 1] ^ (state_[i - 1] >> 30)) * factor);
  };
  state_[0] = 19650218u;
  for (size_t i = 1; i < kSize; ++i)
    state_[i] = 1812433253u * (state_[i - 1] ^ (state_[i - 1] >> 30)) + static_cast<uint32_t>(i);
  size_t i = 1;
  auto advance = [&] {
    if (++i < kSize) return;
    state_[0] = state_[kSize - 1];
    i = 1;
  };
  for (size_t k = 0; k < kSize; ++k, advance()) state_[i] = mix(i, 1664525u) + seed;
  for (size_t k = 1; k < kSize; ++k, advance())
    state_[i] = mix(i, 1566083941u) - static_cast<uint32_t>(i);
  state_[0] = 0x80000000u;
}

void PythonRandom::refill() {
  for (size_t i = 0; i < kSize; ++i) {
    uint32_t y = (state_[i] & 0x80000000u) | (state_[(i + 1) % kSize] & 0x7fffffffu);
    state_[i] = state_[(i + 397) % kSize] ^ (y >> 1) ^ (y & 1 ? 0x9908b0dfu : 0);
  }
  used_ = 0;
}

uint32_t PythonRandom::next() {
  if (used_ == kSize) refill();
  uint32_t y = state_[used_++];
  y ^= y >> 11;
  y ^= (y << 7) & 0x9d2c5680u;
  y ^= (y << 15) & 0xefc60000u;
  return y ^ (y >> 18);
}

int64_t PythonRandom::randint(int64_t low, int64_t high) {
  auto range = static_cast<uint32_t>(high - low + 1);
  int bits = std::bit_width(range);
  uint32_t value = next() >> (32 - bits);
  while (value >= range) value = next() >> (32 - bits);
  return low + value;
}

}  // namespace ll
