#include "runtime/process/watchdog.h"

#include <fmt/core.h>

#include <algorithm>

#include "parallel/communicator.h"

namespace ll {

using std::chrono::milliseconds;

Watchdog::Watchdog(std::chrono::seconds limit, std::string who, Peers peers)
    : limit_(limit),
      period_(std::clamp(milliseconds(limit) / 10, milliseconds(50), milliseconds(1000))),
      words_(std::move(who), std::move(peers)),
      heartbeat_(limit_, period_, Heartbeat::Clock::now()) {
  if (HostLinks* links = words_.peers().links())
    links->watch({.place =
                      [this] {
                        return HostLinks::Place{words_.who(), where()};
                      },
                  .lost = [this](const std::string& fault) { words_.end_lost(fault, where()); }});
  if (limit_.count() > 0) thread_ = std::thread([this] { watch(); });
}

Watchdog::~Watchdog() {
  if (HostLinks* links = words_.peers().links()) links->watch({});
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  woken_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Watchdog::rename(std::string who) {
  words_.rename(std::move(who));
  if (HostLinks* links = words_.peers().links()) links->tell();
}

void Watchdog::begin(Doing what) {
  std::lock_guard lock(mutex_);
  doing_ = std::move(what);
  heartbeat_.beat(Heartbeat::Clock::now());
}

void Watchdog::beat() {
  std::lock_guard lock(mutex_);
  heartbeat_.beat(Heartbeat::Clock::now());
}

bool Watchdog::is_stuck() {
  auto now = Heartbeat::Clock::now();
  if (!heartbeat_.is_silent(now) || doing_.kind == Kind::kPaused) return false;
  if (doing_.kind != Kind::kAwaiting || !words_.find_fault().empty()) return true;
  heartbeat_.beat(now);
  return false;
}

void Watchdog::watch() {
  std::unique_lock lock(mutex_);
  while (!woken_.wait_for(lock, period_, [this] { return stop_; })) {
    if (!is_stuck()) continue;
    lock.unlock();
    words_.end_silent(limit_, where());
  }
}

std::string Watchdog::where() {
  std::lock_guard lock(mutex_);
  const char* collective = Communicator::current();
  std::string place =
      doing_.kind == Kind::kStep ? fmt::format("in step {}", doing_.step) : doing_.name;
  return collective ? fmt::format("{}, in {}", place, collective) : place;
}

}  // namespace ll
