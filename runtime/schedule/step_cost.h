#pragma once
// What steps cost, and whom. A step's time is shared by tokens: each of those it computes costs the
// same, whatever is cached of its sequence.
#include <cstdint>
#include <vector>

namespace ll {

struct Cost {
  double device_seconds = 0;  // times the devices that worked on it
  double joules = 0;          // 0 where nobody measures them
  int64_t computed_tokens = 0;

  Cost& operator+=(const Cost& o) {
    device_seconds += o.device_seconds;
    joules += o.joules;
    computed_tokens += o.computed_tokens;
    return *this;
  }
  Cost operator*(double share) const { return {device_seconds * share, joules * share, 0}; }
};

// Tokens that a step computes for a request.
struct CostShare {
  int64_t request = 0;
  int64_t tokens = 0;
};

struct StepCost {
  Cost cost;
  std::vector<CostShare> shares;  // none where costs are not shared out
};

}  // namespace ll
