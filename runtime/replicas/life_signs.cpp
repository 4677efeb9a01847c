#include "runtime/replicas/life_signs.h"

#include <algorithm>

namespace ll {

LifeSigns::LifeSigns(int num_replicas, std::chrono::seconds patience, Clock::time_point now)
    : patience_(patience),
      now_(now),
      silent_(static_cast<size_t>(num_replicas)),
      holds_(static_cast<size_t>(num_replicas)) {}

void LifeSigns::tick(Clock::time_point now) {
  Clock::duration passed = std::min(now - now_, Clock::duration(patience_) / 4);
  for (Clock::duration& silent : silent_) silent += passed;
  now_ = now;
}

void LifeSigns::holds_work(int replica, bool does) {
  auto r = static_cast<size_t>(replica);
  if (does && !holds_[r]) silent_[r] = {};
  holds_[r] = does;
}

int LifeSigns::missing() const {
  if (patience_.count() == 0) return -1;
  for (size_t r = 0; r < silent_.size(); ++r)
    if (holds_[r] && silent_[r] > patience_) return static_cast<int>(r);
  return -1;
}

}  // namespace ll
