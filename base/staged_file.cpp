#include "base/staged_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/durable_file.h"
#include "base/write_all.h"

namespace ll {
namespace {

constexpr size_t kStagedBytes = size_t{1} << 20;

}  // namespace

StagedFile::StagedFile(const std::string& path, std::string advice)
    : path_(path), stage_(path + ".tmp"), advice_(std::move(advice)) {
  fd_ = ::open(stage_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  check_it(fd_ >= 0);
}

StagedFile::~StagedFile() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(stage_.c_str());
}

void StagedFile::check_it(bool ok) const {
  if (ok) return;
  int reason = errno;
  fail("{}: cannot write: {}{}", path_, std::strerror(reason), advice_);
}

void StagedFile::write(std::string_view bytes) {
  buffer_.append(bytes);
  if (buffer_.size() >= kStagedBytes) flush();
}

void StagedFile::flush() {
  check_it(write_all(fd_, buffer_));
  buffer_.clear();
}

void StagedFile::finish() {
  flush();
  check_it(::fsync(fd_) == 0);
  if (::close(std::exchange(fd_, -1)) == 0) return;
  int reason = errno;
  ::unlink(stage_.c_str());
  errno = reason;
  check_it(false);
}

void StagedFile::commit() {
  finish();
  rename_durably(stage_, path_);
}

}  // namespace ll
