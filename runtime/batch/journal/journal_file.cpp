#include "runtime/batch/journal/journal_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "base/check_call.h"
#include "base/durable_file.h"
#include "base/write_all.h"

namespace ll {
namespace {

constexpr auto kSyncPeriod = std::chrono::seconds(1);

int open_to_append(const std::string& path, int flags) {
  int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | flags, 0666);
  check(fd >= 0, "{}: cannot write: {}; check job.output", path, std::strerror(errno));
  return fd;
}

// A file system without locks is no reason not to run.
bool lock(int fd) { return ::flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK; }

}  // namespace

JournalFile::JournalFile(std::string path, const std::function<std::string()>& owner)
    : path_(std::move(path)) {
  try {
    open_and_lock(owner);
  } catch (const Error&) {
    if (fd_ >= 0) ::close(fd_);
    throw;
  }
}

void JournalFile::open_and_lock(const std::function<std::string()>& owner) {
  for (;;) {
    fd_ = open_to_append(path_, 0);
    struct stat mine = {}, there = {};
    check(::fstat(fd_, &mine) == 0 && S_ISREG(mine.st_mode), "{}: is not a regular file", path_);
    if (!lock(fd_)) {
      std::string who = owner();
      fail("{}: is being written by another job{}{}; choose another job.output", path_,
           who.empty() ? "" : ": ", who);
    }
    // Who held it before may have given it another name, or removed it.
    bool is_same = ::fstat(fd_, &mine) == 0 && ::stat(path_.c_str(), &there) == 0 &&
                   mine.st_ino == there.st_ino && mine.st_dev == there.st_dev;
    size_ = mine.st_size;
    if (is_same) return;
    ::close(std::exchange(fd_, -1));
  }
}

void JournalFile::end_thread() {
  if (!thread_.joinable()) return;
  {
    std::lock_guard lock(mutex_);
    stops_ = true;
  }
  changed_.notify_all();
  thread_.join();
  stops_ = false;  // the next line starts another
}

JournalFile::~JournalFile() {
  end_thread();
  if (fd_ < 0) return;
  // Before the lock goes, so that nobody's lines go with it.
  if (size_ == 0) ::unlink(path_.c_str());
  ::close(fd_);
}

int64_t JournalFile::last_write() const {
  struct stat info = {};
  check_call(::fstat(fd_, &info) == 0, "{}: cannot be examined", path_);
  return info.st_mtime;
}

void JournalFile::cut(int64_t size) {
  if (size == size_) return;
  // On disk before OUT.job says whose the rest is.
  check_call(::ftruncate(fd_, size) == 0 && ::fdatasync(fd_) == 0, "{}: cannot write", path_);
  size_ = size;
}

// The new file has the lock before it has the name.
void JournalFile::refill(int from, const std::string& from_path,
                         const std::function<bool(const JournalLine&)>& keeps) {
  std::string stage = path_ + ".tmp";
  int old = std::exchange(fd_, open_to_append(stage, O_TRUNC));
  lock(fd_);
  size_ = 0;
  try {
    std::string block;
    for_each_line(from, from_path, [&](const JournalLine& line) {
      if (!keeps(line)) return;
      block.append(line.text) += '\n';
      if (block.size() < size_t{1} << 20) return;
      write(block);
      block.clear();
    });
    write(block);
    check_call(::fsync(fd_) == 0, "{}: cannot be synced to disk", stage);
    rename_durably(stage, path_);
  } catch (const Error&) {
    ::unlink(stage.c_str());
    ::close(std::exchange(fd_, old));
    size_ = ::lseek(old, 0, SEEK_END);
    throw;
  }
  ::close(old);
}

void JournalFile::write(std::string_view text) {
  if (!write_all_at(fd_, text, size_)) {
    int reason = errno;
    bool is_cut = ::ftruncate(fd_, size_) == 0;
    fail("{}: cannot write: {}{}", path_, std::strerror(reason),
         is_cut ? "; the lines before are whole: make room and run again to go on" : "");
  }
  size_ += static_cast<int64_t>(text.size());
}

void JournalFile::check_sound() {
  std::lock_guard lock(mutex_);
  check(failure_.empty(), "{}", failure_);
}

void JournalFile::append(std::string_view line) {
  std::string text(line);
  text += '\n';
  write(text);
  if (!thread_.joinable()) thread_ = std::thread([this] { sync_every_second(); });
  check_sound();
  std::lock_guard lock(mutex_);
  is_dirty_ = true;
}

// Nobody will ever see a line of a file that was removed.
void JournalFile::check_is_there() const {
  struct stat info = {};
  check(::fstat(fd_, &info) == 0 && info.st_nlink > 0,
        "{}: was removed while it was written; the answers in it are lost", path_);
}

void JournalFile::sync_now() {
  check_is_there();
  check_call(::fdatasync(fd_) == 0, "{}: cannot be synced to disk", path_);
}

void JournalFile::sync_every_second() {
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, kSyncPeriod, [&] { return stops_; })) {
    if (!failure_.empty()) continue;
    bool is_dirty = std::exchange(is_dirty_, false);
    lock.unlock();
    std::string failure;
    try {
      is_dirty ? sync_now() : check_is_there();
    } catch (const Error& e) {
      failure = e.what();
    }
    lock.lock();
    failure_ = failure;
  }
}

// The system tells of a failure once: what the thread was told is known when it has ended.
void JournalFile::sync() {
  end_thread();
  sync_now();
  check_sound();
}

void JournalFile::rename_to(const std::string& path) {
  sync();
  rename_durably(path_, path);
  path_ = path;
  // A job without a request has an empty output.
  ::close(std::exchange(fd_, -1));
}

void JournalFile::remove() { cut(0); }

}  // namespace ll
