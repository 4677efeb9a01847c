#include "launcher/answer_pipe.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include "base/check_call.h"
#include "base/output_file.h"
#include "base/write_all.h"
#include "base/write_signals.h"

namespace ll {
namespace {

constexpr size_t kBufferBytes = 1 << 16;

}  // namespace

AnswerPipe::AnswerPipe(int to, std::string name) : to_(to), name_(std::move(name)) {
  ignore_write_signals();
  int ends[2];
  check_call(::pipe2(ends, O_CLOEXEC) == 0, "no pipe for the answers");
  read_end_ = ends[0], write_end_ = ends[1];
  ::setenv(kStandardOutputVariable, fmt::format("/proc/{}/fd/{}", ::getpid(), write_end_).c_str(),
           /*overwrite=*/1);
  // The main thread waits for signals, SIGCHLD among them: one that this thread took would be lost.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  thread_ = std::thread([this] { copy(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

AnswerPipe::~AnswerPipe() {
  if (write_end_ >= 0) ::close(write_end_);
  if (thread_.joinable()) thread_.join();
  ::unsetenv(kStandardOutputVariable);
}

// Closes its end when nobody takes more: the rank that writes learns it that way.
void AnswerPipe::copy() {
  std::vector<char> buffer(kBufferBytes);
  for (;;) {
    ssize_t n = ::read(read_end_, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    if (write_all(to_, {buffer.data(), static_cast<size_t>(n)})) continue;
    reason_ = errno;
    break;
  }
  ::close(read_end_);
}

bool AnswerPipe::finish() {
  ::close(std::exchange(write_end_, -1));
  thread_.join();
  // Some file systems find out late.
  if (reason_ == 0 && ::fsync(to_) != 0 && errno != EINVAL && errno != EROFS) reason_ = errno;
  check(reason_ == 0 || reason_ == EPIPE, "{}: cannot write: {}", name_, std::strerror(reason_));
  return reason_ == 0;
}

}  // namespace ll
