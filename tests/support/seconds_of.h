#pragma once
// How long a call takes.
#include <chrono>

namespace ll::test {

double seconds_of(const auto& f) {
  auto start = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace ll::test
