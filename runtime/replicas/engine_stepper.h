#pragma once
// Steps an engine that gets its work from elsewhere: without work it naps, and shows the workers
// now and then that it lives.
#include <chrono>
#include <thread>

#include "runtime/engine/engine.h"

namespace ll {

class EngineStepper {
 public:
  // `step()` is the engine's, or does more.
  template <class Step>
  void step(const Engine& engine, Step&& step) {
    auto now = std::chrono::steady_clock::now();
    if (!engine.has_work() && now - last_ <= kSignOfLife) return std::this_thread::sleep_for(kNap);
    step();
    last_ = std::chrono::steady_clock::now();
  }

 private:
  static constexpr auto kNap = std::chrono::microseconds(300);  // between looks at a mailbox
  static constexpr auto kSignOfLife = std::chrono::milliseconds(500);
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

}  // namespace ll
