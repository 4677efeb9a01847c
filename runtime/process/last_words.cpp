#include "runtime/process/last_words.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <thread>

#include "base/check.h"
#include "runtime/process/progress.h"

namespace ll {

using std::chrono::milliseconds;

namespace {

std::mutex listener_mutex;
std::function<void(const std::string&)> listener;

}  // namespace

void LastWords::on_end(std::function<void(const std::string&)> tell) {
  std::lock_guard lock(listener_mutex);
  listener = std::move(tell);
}

void LastWords::say(const std::string& text) const {
  end_progress();
  fmt::print(stderr, "litelang-run: {}: {}\n", who_, text);
  std::fflush(stderr);
  peers_.send_explained();
  std::lock_guard lock(listener_mutex);
  if (listener) listener(text);
}

void LastWords::let_peers_speak(milliseconds patience) {
  auto end = std::chrono::steady_clock::now() + patience;
  while (!LocalPeers::is_explained()) {
    if (std::chrono::steady_clock::now() >= end) return;
    std::this_thread::sleep_for(milliseconds(10));
  }
  std::this_thread::sleep_for(std::chrono::seconds(2));  // who spoke brings the exit code
  std::_Exit(static_cast<int>(ExitCode::kError));
}

// The peers' limits end at about the same time.
void LastWords::end_silent(std::chrono::seconds limit, const std::string& where) const {
  std::string fault = find_fault();
  let_peers_speak(milliseconds(200) * std::min(peers_.num_below(), 5));
  say(fmt::format("no progress for {} s {}; {}", limit.count(), where,
                  fault.empty() ? "a rank died, stopped or is slow; see step_timeout_s" : fault));
  std::_Exit(static_cast<int>(ExitCode::kError));
}

void LastWords::end_asked(const std::string& where) const {
  constexpr milliseconds kGrace(300);
  std::string fault = find_fault();
  let_peers_speak(peers_.num_below() == 0           ? milliseconds(0)
                  : peers_.num_running_below() == 0 ? kGrace / 2
                                                    : 2 * kGrace);
  bool is_mine_to_say = !fault.empty() || peers_.rank() == 0;
  if (is_mine_to_say)
    say(fmt::format(
        "ended {}: {}", where,
        fault.empty() ? "the job was cancelled, or a rank on another host died" : fault));
  std::this_thread::sleep_for(kGrace);  // the peers still look who lives
  std::_Exit(static_cast<int>(ExitCode::kError));
}

}  // namespace ll
