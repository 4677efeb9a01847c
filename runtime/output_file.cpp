#include "runtime/output_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "kernels/check.h"

namespace ll {

OutputFile::OutputFile(const std::string& path, bool overwrite) : path_(path) {
  if (path == "-") {
    path_ = "standard output";
    fd_ = STDOUT_FILENO;
    return;
  }
  int flags = O_WRONLY | O_CREAT | O_CLOEXEC | (overwrite ? O_TRUNC : O_EXCL);
  fd_ = ::open(path.c_str(), flags, 0666);
  check(fd_ >= 0 || errno != EEXIST,
        "{}: exists already; remove it, choose another job.output, or set job.overwrite: true",
        path);
  check(fd_ >= 0, "{}: cannot write: {}; check job.output", path, std::strerror(errno));
}

OutputFile::~OutputFile() {
  if (fd_ <= STDOUT_FILENO) return;
  ::close(fd_);
  if (!is_written_) ::unlink(path_.c_str());
}

void OutputFile::write_line(std::string_view text) {
  std::string line(text);
  line += '\n';
  for (size_t written = 0; written < line.size();) {
    ssize_t n = ::write(fd_, line.data() + written, line.size() - written);
    if (n < 0 && errno == EINTR) continue;
    check(n > 0, "{}: cannot write: {}; what was written so far is whole lines", path_,
          std::strerror(errno));
    written += static_cast<size_t>(n);
    is_written_ = true;
  }
}

void OutputFile::close() {
  if (fd_ <= STDOUT_FILENO) return;
  int fd = std::exchange(fd_, -1);
  check(::close(fd) == 0, "{}: cannot write: {}", path_, std::strerror(errno));
}

}  // namespace ll
