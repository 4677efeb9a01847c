#pragma once
// What comes true a while later.
#include <chrono>
#include <thread>

namespace ll::test {

// Whether the condition came true in time.
bool wait_until(const auto& condition, std::chrono::seconds limit = std::chrono::seconds(5)) {
  for (auto end = std::chrono::steady_clock::now() + limit; !condition();
       std::this_thread::sleep_for(std::chrono::milliseconds(10)))
    if (std::chrono::steady_clock::now() > end) return false;
  return true;
}

}  // namespace ll::test
