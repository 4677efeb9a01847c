#include "base/output_file.h"

#include <fcntl.h>
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
  struct stat info;
  bool is_special = ::stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode);
  int flags = O_WRONLY | O_CREAT | O_CLOEXEC | (overwrite || is_special ? O_TRUNC : O_EXCL);
  fd_ = ::open(path.c_str(), flags, 0666);
  check(fd_ >= 0 || errno != EEXIST,
        "{}: exists already; remove it, choose another job.output, or set job.overwrite: true",
        path);
  check(fd_ >= 0, "{}: cannot write: {}; check job.output", path, std::strerror(errno));
  is_regular_ = !is_special;
}

OutputFile::~OutputFile() {
  if (fd_ <= STDOUT_FILENO) return;
  ::close(fd_);
  if (is_regular_ && num_bytes_ == 0) ::unlink(path_.c_str());
}

void OutputFile::write_line(std::string_view text) {
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
  int fd = std::exchange(fd_, -1);
  check(::close(fd) == 0, "{}: cannot write: {}", path_, std::strerror(errno));
}

}  // namespace ll
