#pragma once
// Times of work on one thread of the CPU.
#include <algorithm>
#include <chrono>
#include <limits>

// Seconds that the fastest of five rounds took.
double best_seconds(const auto& work) {
  constexpr int kRounds = 5;
  double best = std::numeric_limits<double>::infinity();
  for (int round = 0; round < kRounds; ++round) {
    auto start = std::chrono::steady_clock::now();
    work();
    std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
    best = std::min(best, spent.count());
  }
  return best;
}
