#include "runtime/watchdog.h"

#include <fmt/core.h>

#include <cstdio>
#include <cstdlib>

#include "parallel/communicator.h"

namespace ll {

Watchdog::Watchdog(std::chrono::seconds limit, std::string who)
    : limit_(limit), who_(std::move(who)) {
  if (limit_.count() > 0) thread_ = std::thread([this] { watch(); });
}

Watchdog::~Watchdog() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  stopping_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Watchdog::note(int64_t what) {
  std::lock_guard lock(mutex_);
  what_ = what;
  since_ = std::chrono::steady_clock::now();
}

void Watchdog::watch() {
  std::unique_lock lock(mutex_);
  auto period = std::max<std::chrono::milliseconds>(std::chrono::milliseconds(limit_) / 10,
                                                    std::chrono::milliseconds(50));
  while (!stopping_.wait_for(lock, period, [this] { return stop_; }))
    if (what_ != kPaused && std::chrono::steady_clock::now() - since_ > limit_) expire(what_);
}

void Watchdog::expire(int64_t what) const {
  const char* collective = Communicator::current();
  std::string where =
      what == kIdle ? "waiting for rank 0's next plan" : fmt::format("in step {}", what);
  fmt::print(stderr,
             "litelang: {}: no progress for {} s {}{}{}; a peer died, stopped or is slow; see "
             "step_timeout_s\n",
             who_, limit_.count(), where, collective ? ", in " : "", collective ? collective : "");
  std::fflush(stderr);
  std::_Exit(1);
}

}  // namespace ll
