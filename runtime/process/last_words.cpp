#include "runtime/process/last_words.h"

#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "base/check.h"
#include "parallel/communicator.h"
#include "parallel/mpi/starter.h"
#include "runtime/process/progress.h"

namespace ll {

using std::chrono::milliseconds;

namespace {

// More than the time between two looks of a watchdog.
constexpr milliseconds kLaterTurn(1200);

std::mutex listener_mutex;
std::function<void(const std::string&)> listener;

}  // namespace

void LastWords::on_end(std::function<void(const std::string&)> tell) {
  std::lock_guard lock(listener_mutex);
  listener = std::move(tell);
}

void LastWords::rename(std::string who) {
  std::lock_guard lock(mutex_);
  who_ = std::move(who);
}

std::string LastWords::who() const {
  std::lock_guard lock(mutex_);
  return who_;
}

void LastWords::say(const std::string& text) const {
  end_progress();
  fmt::print(stderr, "litelang-run: {}: {}\n", who(), text);
  std::fflush(stderr);
  peers_.send_explained();
  std::lock_guard lock(listener_mutex);
  if (listener) listener(text);
}

void LastWords::take_the_floor() {
  static std::atomic<bool> is_taken = false;
  while (is_taken.exchange(true)) std::this_thread::sleep_for(std::chrono::hours(1));
}

void LastWords::leave() const {
  end_stuck_starter(peers_.launchers_time());
  std::_Exit(static_cast<int>(ExitCode::kError));
}

void LastWords::let_peers_speak(milliseconds patience) const {
  auto end = std::chrono::steady_clock::now() + patience;
  while (!peers_.is_explained()) {
    if (std::chrono::steady_clock::now() >= end) return;
    std::this_thread::sleep_for(milliseconds(10));
  }
  std::this_thread::sleep_for(std::chrono::seconds(2));  // who spoke brings the exit code
  leave();
}

// The peers' limits end at about the same time.
void LastWords::end_silent(std::chrono::seconds limit, const std::string& where) const {
  take_the_floor();
  std::string fault = peers_.find_fault(milliseconds(limit) / 4);
  bool waits_for_others = fault.empty() && Communicator::current();
  let_peers_speak(peers_.turn() + (waits_for_others ? kLaterTurn : milliseconds(0)));
  say(fmt::format("no progress for {} s {}; {}", limit.count(), where,
                  fault.empty() ? "a rank died, stopped or is slow; see step_timeout_s" : fault));
  leave();
}

void LastWords::end_lost(const std::string& fault, const std::string& where) const {
  take_the_floor();
  let_peers_speak(peers_.turn());
  say(fmt::format("ended {}: {}", where, fault));
  leave();
}

void LastWords::end_asked(const std::string& where) const {
  constexpr milliseconds kGrace(300);
  peers_.send_asked();
  take_the_floor();
  std::string fault = find_fault();
  let_peers_speak(!peers_.has_before()           ? milliseconds(0)
                  : !peers_.has_running_before() ? kGrace / 2
                                                 : 2 * kGrace);
  if (fault.empty() && peers_.links()) {  // mpirun may have heard of it first
    std::this_thread::sleep_for(kGrace / 2);
    fault = find_fault();
  }
  bool is_mine_to_say = !fault.empty() || peers_.rank() == 0;
  if (is_mine_to_say)
    say(fmt::format(
        "ended {}: {}", where,
        fault.empty() ? "the job was cancelled, or a rank on another host died" : fault));
  std::this_thread::sleep_for(kGrace);  // the peers still look who lives
  leave();
}

}  // namespace ll
