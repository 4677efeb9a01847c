#include "runtime/process/signals.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "base/check.h"

namespace ll {
namespace {

std::atomic<int> write_end = -1;

std::array<std::atomic<pid_t>, NSIG> senders = {};

// All that a handler may do: the number goes to the thread that listens.
void pass_on(int signal, siginfo_t* info, void* /*context*/) {
  int saved_errno = errno;
  auto number = static_cast<unsigned char>(signal);
  senders[number] = info->si_code == SI_USER || info->si_code == SI_TKILL ? info->si_pid : 0;
  [[maybe_unused]] ssize_t written = ::write(write_end, &number, 1);
  errno = saved_errno;
}

struct Listener {
  const OnSignal* owner;
  int signal;
  std::function<bool()> act;
};

// Who listens in this process. Its thread runs while anybody does.
class Listeners {
 public:
  void add(Listener listener) {
    std::lock_guard change(change_);
    if (!thread_.joinable()) start();
    int signal = listener.signal;
    std::lock_guard lock(mutex_);
    bool is_first = !has(signal);
    list_.push_back(std::move(listener));
    if (!is_first) return;
    sigaction(signal, nullptr, &before_[signal]);
    if (before_[signal].sa_handler == SIG_IGN) return;
    struct sigaction action = {};
    action.sa_flags = SA_RESTART | SA_SIGINFO;
    action.sa_sigaction = pass_on;
    sigaction(signal, &action, nullptr);
  }

  void remove(const OnSignal* owner, int signal) {
    std::lock_guard change(change_);
    std::unique_lock lock(mutex_);
    std::erase_if(list_, [&](const Listener& l) { return l.owner == owner; });
    if (!has(signal)) sigaction(signal, &before_[signal], nullptr);
    bool is_last = list_.empty();
    lock.unlock();
    if (is_last) stop();
  }

  void ignore_afterwards(int signal) {
    std::lock_guard lock(mutex_);
    before_[signal] = {};
    before_[signal].sa_handler = SIG_IGN;
  }

 private:
  static constexpr unsigned char kEnd = 0;

  bool has(int signal) const {
    return std::any_of(list_.begin(), list_.end(),
                       [&](const Listener& l) { return l.signal == signal; });
  }

  void start() {
    int ends[2];
    check(::pipe2(ends, O_CLOEXEC) == 0, "no pipe for signals; raise the limit of open files");
    ::fcntl(ends[1], F_SETFL, O_NONBLOCK);  // a handler must not wait
    write_end = ends[1];
    thread_ = std::thread([this, from = ends[0]] { listen(from); });
  }

  void stop() {
    int fd = write_end;
    [[maybe_unused]] ssize_t written = ::write(fd, &kEnd, 1);
    thread_.join();
    write_end = -1;
    ::close(fd);
  }

  void listen(int from) {
    unsigned char signal = kEnd;
    for (;;) {
      ssize_t n = ::read(from, &signal, 1);
      if (n < 0 && errno == EINTR) continue;
      if (n != 1 || signal == kEnd) break;
      std::lock_guard lock(mutex_);
      for (auto l = list_.rbegin(); l != list_.rend(); ++l)
        if (l->signal == signal && l->act()) break;
    }
    ::close(from);
  }

  std::mutex change_;  // of one that begins or ends to listen
  std::mutex mutex_;   // of the list, held while its functions run
  std::vector<Listener> list_;
  std::map<int, struct sigaction> before_;
  std::thread thread_;
};

Listeners& listeners() {
  static auto* all = new Listeners;  // outlives a thread that is still listening at exit
  return *all;
}

}  // namespace

OnSignal::OnSignal(int signal, std::function<bool()> act) : signal_(signal) {
  listeners().add({this, signal, std::move(act)});
}

void OnSignal::ignore_afterwards(int signal) { listeners().ignore_afterwards(signal); }

pid_t OnSignal::sender_of(int signal) { return senders[static_cast<size_t>(signal)]; }

OnSignal::~OnSignal() { listeners().remove(this, signal_); }

}  // namespace ll
