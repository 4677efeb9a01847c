#include "runtime/batch/stop_policy.h"

#include <fmt/core.h>

#include <algorithm>
#include <csignal>

namespace ll {

std::optional<Stop> StopPolicy::check(Clock::time_point now) const {
  auto last = options_.time_limit ? options_.time_limit->end - kLeave : Clock::time_point::max();
  if (int signal = options_.signal(); signal != 0)
    return Stop{fmt::format("SIG{} came", sigabbrev_np(signal)),
                std::min(now + options_.grace, last)};
  if (options_.stop_after && now >= options_.stop_after->end)
    return Stop{fmt::format("{} is over", options_.stop_after->name),
                std::min(now + options_.grace, last)};
  if (options_.time_limit && now >= last - options_.grace)
    return Stop{fmt::format("{} is near", options_.time_limit->name), last};
  return std::nullopt;
}

}  // namespace ll
