#include "base/input_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/check_call.h"
#include "base/foreign_format.h"

namespace ll {

InputFile::InputFile(std::string path) : path_(std::move(path)) {
  // Without waiting for a writer, should it be a pipe.
  fd_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  check_call(fd_ >= 0, "{}: cannot be opened", path_);
  struct stat status = {};
  bool regular = ::fstat(fd_, &status) == 0 && S_ISREG(status.st_mode);
  if (!regular) ::close(fd_);
  check(regular, "{}: is not a regular file", path_);
  size_ = static_cast<uint64_t>(status.st_size);
  try {
    std::string start(std::min<uint64_t>(size_, kFormatBytes), '\0');
    read(0, std::as_writable_bytes(std::span(start)));
    check_no_lfs_pointer(start, path_);
  } catch (const Error&) {
    ::close(fd_);
    throw;
  }
}

InputFile::~InputFile() { ::close(fd_); }

void InputFile::read(uint64_t offset, std::span<std::byte> out) const {
  while (!out.empty()) {
    ssize_t n = ::pread(fd_, out.data(), out.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    check_call(n >= 0, "{}: reading at byte {} failed", path_, offset);
    check(n > 0, "{}: ends at byte {}, it was {} bytes long when opened: was it replaced?", path_,
          offset, size_);
    out = out.subspan(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
}

std::string InputFile::read_all(uint64_t max_bytes) const {
  check(size_ <= max_bytes, "{}: is {} bytes long, more than the {} such a file may have", path_,
        size_, max_bytes);
  std::string text(size_, '\0');
  read(0, std::as_writable_bytes(std::span(text)));
  return text;
}

}  // namespace ll
