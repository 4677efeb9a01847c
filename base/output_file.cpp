#include "base/output_file.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/check_call.h"

namespace ll {

OutputFile::OutputFile(const std::string& path, bool overwrite) : path_(path) {
  if (path == "-") {
    open_standard_output();
    return;
  }
  try {
    while (!open(overwrite)) ::close(std::exchange(fd_, -1));
  } catch (const Error&) {
    if (fd_ >= 0) ::close(fd_);
    throw;
  }
}

// A pipe is opened anew: not to wait for its reader is then this process's choice alone.
void OutputFile::open_standard_output() {
  path_ = "standard output";
  is_standard_ = true;
  fd_ = STDOUT_FILENO;
  const char* pipe = std::getenv(kStandardOutputVariable);
  struct stat info = {};
  bool is_open = pipe || ::fstat(STDOUT_FILENO, &info) == 0;
  check(is_open, "standard output: cannot write: {}; check job.output", std::strerror(errno));
  if (!pipe && !S_ISFIFO(info.st_mode)) return;
  int fd = ::open(pipe ? pipe : "/proc/self/fd/1", O_WRONLY | O_CLOEXEC | O_NONBLOCK);
  check(fd >= 0 || !pipe, "standard output: cannot write: {}", std::strerror(errno));
  if (fd >= 0) fd_ = fd;
}

bool OutputFile::open(bool overwrite) {
  constexpr int kFlags = O_WRONLY | O_CREAT | O_CLOEXEC;
  fd_ = ::open(path_.c_str(), kFlags | O_EXCL, 0666);
  is_ours_ = fd_ >= 0;
  if (!is_ours_ && errno == EEXIST) fd_ = ::open(path_.c_str(), kFlags, 0666);
  struct stat info = {};
  bool is_open = fd_ >= 0 && ::fstat(fd_, &info) == 0;
  check(is_open, "{}: cannot write: {}; check job.output", path_, std::strerror(errno));
  is_regular_ = S_ISREG(info.st_mode);
  if (S_ISFIFO(info.st_mode)) ::fcntl(fd_, F_SETFL, O_NONBLOCK);  // it had to wait for a reader
  if (!is_regular_) return true;
  // A file system without locks is no reason not to run.
  check(::flock(fd_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK,
        "{}: is being written by another job; choose another job.output", path_);
  // As it is now that nobody else writes it.
  check_call(::fstat(fd_, &info) == 0, "{}: cannot write", path_);
  if (info.st_nlink == 0) return false;
  holds_old_ = info.st_size > 0;
  check(!holds_old_ || overwrite,
        "{}: exists already; remove it, choose another job.output, or set job.overwrite: true",
        path_);
  return true;
}

OutputFile::~OutputFile() {
  if (fd_ <= STDOUT_FILENO) return;
  // Before the lock goes, so that nobody's lines go with it.
  if (is_ours_ && num_bytes_ == 0) ::unlink(path_.c_str());
  ::close(fd_);
}

void OutputFile::replace_old() {
  if (!std::exchange(holds_old_, false)) return;
  check_call(::ftruncate(fd_, 0) == 0, "{}: cannot write", path_);
}

void OutputFile::fail_write(int reason) {
  if (is_standard_ && reason == EPIPE)
    throw ReaderGone("standard output: its reader has closed it");
  bool is_cut = is_regular_ && ::ftruncate(fd_, num_bytes_) == 0;
  fail("{}: cannot write: {}{}", path_, std::strerror(reason),
       is_cut ? "; the lines before are whole" : "");
}

bool OutputFile::write_some(std::string_view& bytes) {
  while (!bytes.empty()) {
    ssize_t n = ::write(fd_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return false;
    if (n <= 0) fail_write(errno);
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

void OutputFile::write_line(std::string_view text) {
  replace_old();
  if (is_waiting()) {
    waiting_.append(text) += '\n';
    return flush(std::chrono::milliseconds(0));
  }
  std::string line(text);
  line += '\n';
  std::string_view rest = line;
  if (!write_some(rest)) waiting_ = rest;
  num_bytes_ += static_cast<int64_t>(line.size());
}

void OutputFile::flush(std::chrono::milliseconds patience) {
  if (!is_waiting()) return;
  pollfd pipe = {fd_, POLLOUT, 0};
  if (::poll(&pipe, 1, static_cast<int>(patience.count())) <= 0) return;
  std::string_view rest = waiting_;
  write_some(rest);
  waiting_.erase(0, waiting_.size() - rest.size());
}

void OutputFile::close() {
  while (is_waiting()) flush(std::chrono::seconds(1));
  if (fd_ <= STDOUT_FILENO) return;
  replace_old();
  int fd = std::exchange(fd_, -1);
  check_call(::close(fd) == 0, "{}: cannot write", path_);
}

}  // namespace ll
