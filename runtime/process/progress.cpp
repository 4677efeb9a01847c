#include "runtime/process/progress.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <string>

namespace ll {
namespace {

constexpr int kBarWidth = 24;
constexpr auto kBarPeriod = std::chrono::milliseconds(250),
               kLinePeriod = std::chrono::milliseconds(5000);

double rate(int64_t count, double seconds) {
  return seconds > 0 ? static_cast<double>(count) / seconds : 0;
}

double percent(int64_t part, int64_t whole) {
  return whole > 0 ? 100.0 * static_cast<double>(part) / static_cast<double>(whole) : 0;
}

std::string duration(double seconds) {
  int64_t s = std::llround(seconds);
  return s < 3600 ? fmt::format("{}:{:02}", s / 60, s % 60)
                  : fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
}

std::string status(const BatchCounts& c, double seconds) {
  std::string of = c.total >= 0 ? fmt::format("{}/{}", c.done, c.total) : fmt::format("{}", c.done);
  std::string text =
      fmt::format("{} requests, in {:.0f} tok/s, out {:.0f} tok/s, cached {:.0f}%, running {}", of,
                  rate(c.prompt_tokens, seconds), rate(c.output_tokens, seconds),
                  percent(c.cached_tokens, c.prompt_tokens), c.running);
  if (c.errors > 0) text += fmt::format(", errors {}", c.errors);
  if (int64_t own = c.done - c.before; c.total > c.done && own > 0)
    text += ", ETA " +
            duration(seconds / static_cast<double>(own) * static_cast<double>(c.total - c.done));
  return text;
}

// mpirun gives a rank a pipe and copies it to its own standard error, which may be a terminal.
bool is_shown_on_terminal() {
  if (isatty(STDERR_FILENO) == 1) return true;
  struct stat own = {};
  if (fstat(STDERR_FILENO, &own) != 0 || !S_ISFIFO(own.st_mode)) return false;
  int starters = open(fmt::format("/proc/{}/fd/{}", getppid(), STDERR_FILENO).c_str(),
                      O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  bool is_terminal = starters >= 0 && isatty(starters) == 1;
  if (starters >= 0) close(starters);
  return is_terminal;
}

std::atomic<bool> has_ended = false;

}  // namespace

void end_progress() {
  has_ended = true;
  if (is_shown_on_terminal()) fmt::print(stderr, "\r\x1b[K");
}

Progress::Progress() : is_terminal_(is_shown_on_terminal()), start_(Clock::now()), drawn_(start_) {}

double Progress::seconds() const {
  return std::chrono::duration<double>(Clock::now() - start_).count();
}

void Progress::update(const BatchCounts& counts) {
  auto now = Clock::now();
  if (has_ended) return;
  if (now - drawn_ < (is_terminal_ ? kBarPeriod : kLinePeriod)) return;
  drawn_ = now;
  draw(counts);
}

void Progress::draw(const BatchCounts& c) {
  if (!is_terminal_) {
    fmt::print(stderr, "litelang: {}\n", status(c, seconds()));
    return;
  }
  double share =
      c.total > 0 ? std::min(1.0, static_cast<double>(c.done) / static_cast<double>(c.total)) : 0;
  auto filled = static_cast<size_t>(share * kBarWidth);
  fmt::print(stderr, "\r\x1b[K[{}{}] {}", std::string(filled, '#'),
             std::string(kBarWidth - filled, ' '), status(c, seconds()));
  std::fflush(stderr);
}

void Progress::finish(const BatchCounts& c) {
  if (is_terminal_) fmt::print(stderr, "\r\x1b[K");
  double s = seconds();
  fmt::print(stderr,
             "requests       {} done, {} errors\n"
             "prompt tokens  {} ({:.1f}% from the cache)\n"
             "output tokens  {}\n"
             "time           {:.2f} s\n"
             "throughput     {:.2f} requests/s, {:.1f} total tokens/s, {:.1f} output tokens/s\n"
             "preemptions    {}\n",
             c.done, c.errors, c.prompt_tokens, percent(c.cached_tokens, c.prompt_tokens),
             c.output_tokens, s, rate(c.done - c.before, s),
             rate(c.prompt_tokens + c.output_tokens, s), rate(c.output_tokens, s), c.preemptions);
}

}  // namespace ll
