#include "runtime/engine/energy_share.h"

#include <utility>

namespace ll {
namespace {

constexpr auto kPeriod = std::chrono::milliseconds(100);

}  // namespace

double EnergyShare::of_step(double seconds) {
  if (auto now = Clock::now(); now - read_ >= kPeriod) {
    double joules = meter_.joules();
    watts_ = (joules - joules_) / std::chrono::duration<double>(now - read_).count();
    joules_ = joules;
    read_ = now;
  }
  waiting_seconds_ += seconds;
  return watts_ == 0 ? 0 : watts_ * std::exchange(waiting_seconds_, 0);
}

}  // namespace ll
