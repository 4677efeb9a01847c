#include "base/output_stage.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <utility>

#include "base/check_call.h"
#include "base/durable_file.h"

namespace ll {

namespace fs = std::filesystem;

namespace {

void check_free_space(const std::string& folder, uint64_t bytes_needed) {
  struct statvfs space = {};
  check_call(::statvfs(folder.c_str(), &space) == 0, "{}: cannot be examined", folder);
  uint64_t free = uint64_t{space.f_bavail} * space.f_frsize;
  check(free >= bytes_needed, "{}: {:.2f} GB are needed, {:.2f} GB are free", folder,
        static_cast<double>(bytes_needed) / 1e9, static_cast<double>(free) / 1e9);
}

// The folder's descriptor with the lock on it, or -1: it is in use, or cannot be locked.
int lock_folder(const std::string& path) {
  int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd >= 0 && ::flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
  if (fd >= 0) ::close(fd);
  return -1;
}

}  // namespace

OutputStage::OutputStage(const std::string& target, uint64_t bytes_needed) {
  folder_ = folder_of(target);
  check(fs::is_directory(folder_), "{}: no such folder, so {} cannot be written", folder_, target);
  remove_left_behind(target);
  check_free_space(folder_, bytes_needed);
  stage_ = fmt::format("{}.tmp-{}", target, ::getpid());
  create();
}

// Those of processes that are no more, whichever host they were on.
void OutputStage::remove_left_behind(const std::string& target) const {
  std::error_code error;
  std::string prefix = fs::path(target).filename().string() + ".tmp-";
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    if (!entry.path().filename().string().starts_with(prefix)) continue;
    int lock = lock_folder(entry.path());
    if (lock < 0) continue;
    std::error_code ignored;
    fs::remove_all(entry.path(), ignored);
    ::close(lock);
  }
}

void OutputStage::create() {
  for (;;) {
    std::error_code error;
    bool is_made = fs::create_directory(stage_, error);
    check(is_made || !error, "{}: cannot be created: {}", stage_, error.message());
    check(is_made, "{}: is there already; remove it", stage_);
    // Another process may take it for left behind before it is locked: then it holds the lock until
    // it has removed it.
    lock_ = ::open(stage_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock_ < 0) continue;
    while (::flock(lock_, LOCK_EX) != 0 && errno == EINTR) continue;
    struct stat info = {};
    if (::fstat(lock_, &info) != 0 || info.st_nlink > 0) return;
    ::close(std::exchange(lock_, -1));
  }
}

OutputStage::~OutputStage() {
  std::error_code ignored;
  fs::remove_all(stage_, ignored);
  if (lock_ >= 0) ::close(lock_);
}

std::string OutputStage::path_of(const std::string& file) const { return fs::path(stage_) / file; }

void OutputStage::sync(const std::vector<std::string>& files) const {
  for (const std::string& file : files) sync_path(path_of(file));
}

void OutputStage::commit(const std::vector<std::string>& files) {
  for (const std::string& file : files) {
    std::string target = fs::path(folder_) / file;
    check_call(::rename(path_of(file).c_str(), target.c_str()) == 0, "{}: cannot be written",
               target);
  }
  sync_path(folder_);
}

}  // namespace ll
