#include "runtime/server/batches/batch_store.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <random>

#include "base/check.h"
#include "base/durable_file.h"
#include "base/input_file.h"

namespace ll {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxObjectBytes = size_t{1} << 20;

std::string read_text(const fs::path& path) {
  return InputFile(path.string()).read_all(kMaxObjectBytes);
}

template <class T>
std::optional<T> find(const std::map<std::string, T>& all, const std::string& id) {
  auto found = all.find(id);
  return found == all.end() ? std::nullopt : std::optional(found->second);
}

int64_t creation_of(const FileObject& f) { return f.created_at; }
int64_t creation_of(const BatchObject& b) { return b.created_at(); }

template <class T>
std::vector<T> newest_first(const std::map<std::string, T>& all) {
  std::vector<T> list;
  for (auto one = all.rbegin(); one != all.rend(); ++one) list.push_back(one->second);
  std::stable_sort(list.begin(), list.end(),
                   [](const T& a, const T& b) { return creation_of(a) > creation_of(b); });
  return list;
}

}  // namespace

BatchStore::BatchStore(std::string folder) : folder_(std::move(folder)) {
  try {
    for (const char* name : {"files", "batches"}) fs::create_directories(fs::path(folder_) / name);
    lock();
    read_objects();
  } catch (const fs::filesystem_error& e) {
    fail("server.batch_dir = {}: cannot be used: {}", folder_, e.code().message());
  }
}

BatchStore::~BatchStore() { ::close(lock_); }

void BatchStore::lock() {
  std::string path = folder_ + "/lock";
  lock_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  check(lock_ >= 0, "server.batch_dir = {}: cannot be used: {}", folder_, std::strerror(errno));
  bool is_ours = ::flock(lock_, LOCK_EX | LOCK_NB) == 0;
  if (!is_ours) ::close(lock_);
  check(is_ours, "server.batch_dir = {}: another server uses it; choose another folder", folder_);
}

// What a crash left of an upload goes.
void BatchStore::read_objects() {
  for (const auto& entry : fs::directory_iterator(folder_ + "/files")) {
    if (entry.path().extension() == ".upload") fs::remove(entry.path());
    if (entry.path().extension() != ".json") continue;
    FileObject file = parse_file(read_text(entry.path()), entry.path().string());
    files_.emplace(file.id, file);
  }
  for (const auto& entry : fs::directory_iterator(folder_ + "/batches")) {
    if (entry.path().extension() != ".json") continue;
    BatchObject batch = parse_batch(read_text(entry.path()), entry.path().string());
    batches_.emplace(batch.id, batch);
  }
}

std::string BatchStore::new_id(std::string_view prefix) {
  auto now = std::chrono::system_clock::now().time_since_epoch();
  return fmt::format("{}{:016x}{:08x}", prefix, std::chrono::nanoseconds(now).count(),
                     std::random_device()());
}

std::optional<FileObject> BatchStore::file(const std::string& id) const {
  std::lock_guard lock(mutex_);
  return find(files_, id);
}

std::vector<FileObject> BatchStore::files() const {
  std::lock_guard lock(mutex_);
  return newest_first(files_);
}

void BatchStore::add_file(const FileObject& file) {
  std::lock_guard lock(mutex_);
  write_durably(path_of(file.id) + ".json", json_of(file));
  files_.insert_or_assign(file.id, file);
}

void BatchStore::remove_file(const std::string& id) {
  std::lock_guard lock(mutex_);
  files_.erase(id);
  // A file without an object is none.
  ::unlink((path_of(id) + ".json").c_str());
  ::unlink(path_of(id).c_str());
}

std::optional<BatchObject> BatchStore::batch(const std::string& id) const {
  std::lock_guard lock(mutex_);
  return find(batches_, id);
}

std::vector<BatchObject> BatchStore::batches() const {
  std::lock_guard lock(mutex_);
  return newest_first(batches_);
}

void BatchStore::add_batch(const BatchObject& batch) {
  std::lock_guard lock(mutex_);
  write_durably(batch_path(batch.id), json_of(batch));
  batches_.emplace(batch.id, batch);
}

BatchObject BatchStore::update(const std::string& id,
                               const std::function<void(BatchObject&)>& change) {
  std::lock_guard lock(mutex_);
  BatchObject changed = batches_.at(id);
  change(changed);
  write_durably(batch_path(id), json_of(changed));
  return batches_[id] = changed;
}

void BatchStore::set_counts(const std::string& id, int64_t completed, int64_t failed) {
  std::lock_guard lock(mutex_);
  BatchObject& batch = batches_.at(id);
  batch.completed = completed, batch.failed = failed;
}

bool BatchStore::is_in_use(const std::string& file) const {
  std::lock_guard lock(mutex_);
  return std::any_of(batches_.begin(), batches_.end(), [&](const auto& one) {
    return !one.second.has_ended() && one.second.input_file_id == file;
  });
}

}  // namespace ll
