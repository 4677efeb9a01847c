#pragma once
// Where the time of steps goes, rank by rank.
#include <cstdint>
#include <span>
#include <vector>

namespace ll {

// A step on one rank; 0: not measured.
struct StepTime {
  float seconds = 0;             // of its device, from the step's begin to its end
  float collective_seconds = 0;  // of these in collectives, waiting for others or moving data

  bool operator==(const StepTime&) const = default;
};

// Sums over the steps of a rank.
struct RankTimes {
  int64_t steps = 0;
  double seconds = 0, collective_seconds = 0;
  // From its begin of a step to that of the last of the ranks.
  double wait_seconds = 0;
};

// The same of the ranks of a replica, or of several, in rank order.
struct GroupTimes {
  std::vector<RankTimes> ranks;
  int64_t steps = 0;
  double skew_seconds = 0;  // how long the first rank of a step waited for the last, summed

  // All ranks leave a step together, by its last collective: who takes the least time for it began
  // last. No clocks are compared. A step that a rank has not measured does not count.
  void add(std::span<const StepTime> step);
  void append(const GroupTimes& others);
};

}  // namespace ll
