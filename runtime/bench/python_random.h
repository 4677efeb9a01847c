#pragma once
// Python's random module as far as benchmarks written in Python need it: the same seed gives the
// same prompts here.
#include <array>
#include <cstddef>
#include <cstdint>

namespace ll {

// MT19937 [Matsumoto & Nishimura 1998] seeded by array, as CPython's random.seed(int) does.
class PythonRandom {
 public:
  explicit PythonRandom(uint32_t seed);

  // random.randint(low, high): both ends included.
  int64_t randint(int64_t low, int64_t high);

 private:
  static constexpr size_t kSize = 624;
  uint32_t next();
  void refill();

  std::array<uint32_t, kSize> state_;
  size_t used_ = kSize;
};

}  // namespace ll
