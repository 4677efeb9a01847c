#include "runtime/schedule/rank_times.h"

#include <algorithm>

namespace ll {

void GroupTimes::add(std::span<const StepTime> step) {
  auto [last, first] = std::minmax_element(
      step.begin(), step.end(),
      [](const StepTime& a, const StepTime& b) { return a.seconds < b.seconds; });
  if (last == step.end() || last->seconds <= 0) return;
  ranks.resize(step.size());
  for (size_t r = 0; r < step.size(); ++r) {
    ++ranks[r].steps;
    ranks[r].seconds += step[r].seconds;
    ranks[r].collective_seconds += step[r].collective_seconds;
    ranks[r].wait_seconds += step[r].seconds - last->seconds;
  }
  ++steps;
  skew_seconds += first->seconds - last->seconds;
}

void GroupTimes::append(const GroupTimes& others) {
  ranks.insert(ranks.end(), others.ranks.begin(), others.ranks.end());
  steps += others.steps;
  skew_seconds += others.skew_seconds;
}

}  // namespace ll
