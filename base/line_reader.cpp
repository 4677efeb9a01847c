#include "base/line_reader.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check_call.h"
#include "base/foreign_format.h"

namespace ll {
namespace {

constexpr size_t kBufferBytes = size_t{1} << 20;

// Whether there is something to read before `cancel_fd` says that nobody wants it.
bool wait_readable(int fd, int cancel_fd, const std::string& path) {
  pollfd fds[] = {{cancel_fd, POLLIN, 0}, {fd, POLLIN, 0}};
  while (::poll(fds, 2, /*timeout=*/-1) < 0)
    check_call(errno == EINTR, "{}: cannot wait for input", path);
  return fds[0].revents == 0;
}

// A name of an open descriptor, as shells make them for <(command).
bool is_descriptor(const std::string& path) {
  return path.starts_with("/dev/fd/") || path.starts_with("/proc/self/fd/");
}

ssize_t read_some(int fd, char* to, size_t size, const std::string& path) {
  for (;;) {
    ssize_t n = ::read(fd, to, size);
    if (n >= 0) return n;
    check_call(errno == EINTR, "{}: cannot read", path);
  }
}

}  // namespace

LineReader::LineReader(std::string path, int64_t max_line_bytes)
    : path_(std::move(path)),
      max_bytes_(static_cast<size_t>(max_line_bytes)),
      buffer_(kBufferBytes, '\0') {
  fd_ = path_ == "-" ? STDIN_FILENO : ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (path_ == "-") path_ = "standard input";
  check(fd_ >= 0, "{}: cannot open: {}; {}", path_, std::strerror(errno),
        is_descriptor(path_) ? "mpirun hands no descriptors on: pipe it into - instead"
                             : "check job.input");
  struct stat info = {};
  check(::fstat(fd_, &info) != 0 || !S_ISDIR(info.st_mode),
        "{}: is a folder; job.input must be a JSONL file", path_);
  is_file_ = S_ISREG(info.st_mode);
  if (is_file_) look_ahead(info.st_size);
  cancel_fd_ = ::eventfd(0, EFD_CLOEXEC);
  check_call(cancel_fd_ >= 0, "cannot create an event");
}

LineReader::~LineReader() {
  if (fd_ > STDIN_FILENO) ::close(fd_);
  ::close(cancel_fd_);
}

void LineReader::cancel() { ::eventfd_write(cancel_fd_, 1); }

bool LineReader::fill() {
  begin_ = end_ = 0;
  is_cancelled_ = !wait_readable(fd_, cancel_fd_, path_);
  if (is_cancelled_) return false;
  end_ = static_cast<size_t>(read_some(fd_, buffer_.data(), buffer_.size(), path_));
  if (num_bytes_ == 0) check_plain_text(std::string_view(buffer_).substr(0, end_), path_);
  num_bytes_ += static_cast<int64_t>(end_);
  if (end_ == 0) check_end();
  return end_ > 0;
}

// So that a wrong file shows before a model is loaded for it.
void LineReader::look_ahead(int64_t size) {
  off_t at = std::max<off_t>(0, ::lseek(fd_, 0, SEEK_CUR));
  min_bytes_ = size - at;
  ssize_t n = ::pread(fd_, buffer_.data(), kFormatBytes, at);
  check_plain_text(std::string_view(buffer_).substr(0, n > 0 ? static_cast<size_t>(n) : 0), path_);
}

void LineReader::check_end() const {
  check(num_bytes_ >= min_bytes_,
        "{}: ends at byte {}, it was {} bytes long when opened: was it cut or replaced?", path_,
        num_bytes_, min_bytes_);
}

bool LineReader::next(Line& line) {
  line = {};
  bool any = false;
  for (;;) {
    if (begin_ == end_ && !fill()) break;
    any = true;
    const char* from = buffer_.data() + begin_;
    const auto* newline = static_cast<const char*>(std::memchr(from, '\n', end_ - begin_));
    size_t length = newline ? static_cast<size_t>(newline - from) : end_ - begin_;
    if (line.text.size() + length > max_bytes_) line.is_too_long = true;
    if (line.is_too_long)
      std::string().swap(line.text);
    else
      line.text.append(from, length);
    begin_ += length + (newline ? 1 : 0);
    if (newline) break;
  }
  if (!any || is_cancelled_) return false;
  line.number = ++number_;
  if (!line.text.empty() && line.text.back() == '\r') line.text.pop_back();
  return true;
}

}  // namespace ll
