#include "runtime/process/watchdog.h"

#include <fmt/core.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "base/check.h"
#include "parallel/communicator.h"
#include "runtime/process/progress.h"

namespace ll {
namespace {

using std::chrono::milliseconds;

// What the signal handler tells the thread.
std::atomic<bool> is_terminated = false;
int wake_fd = -1;

void wake() {
  const uint64_t one = 1;
  [[maybe_unused]] ssize_t written = ::write(wake_fd, &one, sizeof one);
}

void on_terminate(int) {
  const int saved_errno = errno;
  is_terminated = true;
  wake();
  errno = saved_errno;
}

void wait_for_wake(milliseconds patience) {
  pollfd fd{wake_fd, POLLIN, 0};
  if (::poll(&fd, 1, static_cast<int>(patience.count())) != 1) return;
  uint64_t count;
  [[maybe_unused]] ssize_t n = ::read(wake_fd, &count, sizeof count);
}

void handle_terminate(void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_flags = SA_RESTART;
  action.sa_handler = handler;
  sigaction(SIGTERM, &action, nullptr);
}

}  // namespace

Watchdog::Watchdog(std::chrono::seconds limit, std::string who, LocalPeers peers)
    : limit_(limit), who_(std::move(who)), peers_(std::move(peers)) {
  wake_fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  check(wake_fd >= 0, "no event descriptor for the watchdog; raise the limit of open files");
  handle_terminate(on_terminate);
  thread_ = std::thread([this] { watch(); });
}

Watchdog::~Watchdog() {
  stop_ = true;
  wake();
  thread_.join();
  handle_terminate(SIG_DFL);
  ::close(wake_fd);
}

void Watchdog::note(int64_t what) {
  std::lock_guard lock(mutex_);
  what_ = what;
  since_ = std::chrono::steady_clock::now();
}

void Watchdog::watch() {
  const milliseconds limit = limit_, until_woken(-1);
  const auto period = limit.count() > 0 ? std::max(limit / 10, milliseconds(50)) : until_woken;
  for (;;) {
    wait_for_wake(period);
    if (stop_) return;
    if (is_terminated) terminate();
    std::unique_lock lock(mutex_);
    if (limit.count() == 0 || what_ == kPaused) continue;
    if (std::chrono::steady_clock::now() - since_ <= limit) continue;
    lock.unlock();
    expire();
  }
}

std::string Watchdog::where() {
  std::lock_guard lock(mutex_);
  const char* collective = Communicator::current();
  std::string place = what_ == kPaused ? "while loading"
                      : what_ == kIdle ? "while waiting for rank 0's next plan"
                                       : fmt::format("in step {}", what_);
  return collective ? fmt::format("{}, in {}", place, collective) : place;
}

void Watchdog::say(const std::string& text) const {
  end_progress();
  fmt::print(stderr, "litelang-run: {}: {}\n", who_, text);
  std::fflush(stderr);
  peers_.send_explained();
}

void Watchdog::let_peers_speak(milliseconds patience) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (!LocalPeers::is_explained()) {
    if (std::chrono::steady_clock::now() >= end) return;
    std::this_thread::sleep_for(milliseconds(10));
  }
  std::this_thread::sleep_for(std::chrono::seconds(2));  // who spoke brings the exit code
  std::_Exit(static_cast<int>(ExitCode::kError));
}

// The peers' limits end at about the same time.
void Watchdog::expire() {
  const std::string fault = peers_.find_fault();
  let_peers_speak(milliseconds(200) * std::min(peers_.num_below(), 5));
  say(fmt::format("no progress for {} s {}; {}", limit_.count(), where(),
                  fault.empty() ? "a rank died, stopped or is slow; see step_timeout_s" : fault));
  std::_Exit(static_cast<int>(ExitCode::kError));
}

// Asked to end, as mpirun and srun do when another rank died or the user cancelled the job.
void Watchdog::terminate() {
  constexpr milliseconds kGrace(300);
  const std::string fault = peers_.find_fault();
  let_peers_speak(peers_.num_below() == 0           ? milliseconds(0)
                  : peers_.num_running_below() == 0 ? kGrace / 2
                                                    : 2 * kGrace);
  const bool is_mine_to_say = !fault.empty() || peers_.rank() == 0;
  if (is_mine_to_say)
    say(fmt::format(
        "ended {}: {}", where(),
        fault.empty() ? "the job was cancelled, or a rank on another host died" : fault));
  std::this_thread::sleep_for(kGrace);  // the peers still look who lives
  std::signal(SIGTERM, SIG_DFL);
  std::raise(SIGTERM);
  std::_Exit(static_cast<int>(ExitCode::kError));
}

}  // namespace ll
