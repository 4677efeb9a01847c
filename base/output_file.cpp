#include "base/output_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace ll {

OutputFile::OutputFile(const std::string& path, bool overwrite) : path_(path) {
  if (path == "-") {
    path_ = "standard output";
    fd_ = STDOUT_FILENO;
    return;
  }
  try {
    while (!open(overwrite)) ::close(std::exchange(fd_, -1));
  } catch (const Error&) {
    if (fd_ >= 0) ::close(fd_);
    throw;
  }
}

bool OutputFile::open(bool overwrite) {
  constexpr int kFlags = O_WRONLY | O_CREAT | O_CLOEXEC;
  fd_ = ::open(path_.c_str(), kFlags | O_EXCL, 0666);
  is_ours_ = fd_ >= 0;
  if (!is_ours_ && errno == EEXIST) fd_ = ::open(path_.c_str(), kFlags, 0666);
  struct stat info = {};
  check(fd_ >= 0 && ::fstat(fd_, &info) == 0, "{}: cannot write: {}; check job.output", path_,
        std::strerror(errno));
  is_regular_ = S_ISREG(info.st_mode);
  if (!is_regular_) return true;
  // A file system without locks is no reason not to run.
  check(::flock(fd_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK,
        "{}: is being written by another job; choose another job.output", path_);
  // As it is now that nobody else writes it.
  check(::fstat(fd_, &info) == 0, "{}: cannot write: {}", path_, std::strerror(errno));
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
  bool is_empty = ::ftruncate(fd_, 0) == 0;
  check(is_empty, "{}: cannot write: {}", path_, std::strerror(errno));
}

void OutputFile::write_line(std::string_view text) {
  replace_old();
  std::string line(text);
  line += '\n';
  for (size_t written = 0; written < line.size();) {
    ssize_t n = ::write(fd_, line.data() + written, line.size() - written);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      int reason = errno;
      bool is_cut = is_regular_ && ::ftruncate(fd_, num_bytes_) == 0;
      fail("{}: cannot write: {}{}", path_, std::strerror(reason),
           is_cut ? "; the lines before are whole" : "");
    }
    written += static_cast<size_t>(n);
  }
  num_bytes_ += static_cast<int64_t>(line.size());
}

void OutputFile::close() {
  if (fd_ <= STDOUT_FILENO) return;
  replace_old();
  int fd = std::exchange(fd_, -1);
  check(::close(fd) == 0, "{}: cannot write: {}", path_, std::strerror(errno));
}

}  // namespace ll
