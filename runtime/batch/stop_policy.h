#pragma once
// When a batch stops before its end, and how long that may take.
#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "runtime/process/time_limit.h"

namespace ll {

struct Stop {
  std::string reason;                         // a phrase: "SIGUSR1 came"
  std::chrono::steady_clock::time_point end;  // of the work that is still done
};

class StopPolicy {
 public:
  using Clock = std::chrono::steady_clock;

  struct Options {
    std::chrono::seconds grace{0};        // from the order to stop to the end of work
    std::optional<TimeLimit> time_limit;  // of the process
    std::optional<TimeLimit> stop_after;  // of the user
    std::function<int()> signal;          // that asked for it; 0: none has
  };
  explicit StopPolicy(Options options) : options_(std::move(options)) {}

  // The end of work lies so long before a time limit: what was written is synced, ranks take leave.
  static constexpr std::chrono::seconds kLeave{5};

  // Whether it is time to stop. The first order stands.
  std::optional<Stop> check(Clock::time_point now) const;

 private:
  Options options_;
};

}  // namespace ll
