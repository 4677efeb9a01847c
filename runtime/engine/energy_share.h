#pragma once
#include <chrono>

#include "kernels/energy_meter.h"

namespace ll {

// What steps take of a device's energy. A counter moves some ten times a second and is slow to
// read, so a step gets its time times the mean power since the reading before the last.
class EnergyShare {
 public:
  explicit EnergyShare(const EnergyMeter& meter)
      : meter_(meter), joules_(meter.joules()), read_(Clock::now()) {}

  // Joules of a step that has just ended, of those before the first reading with the next.
  double of_step(double seconds);

 private:
  using Clock = std::chrono::steady_clock;

  const EnergyMeter& meter_;
  double joules_;
  Clock::time_point read_;
  double watts_ = 0, waiting_seconds_ = 0;
};

}  // namespace ll
