#pragma once
// A file of lines that only grows, written by one process at a time, of which a kill costs no whole
// line and a power cut the last second.
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "runtime/batch/journal/journal_scan.h"

namespace ll {

class JournalFile {
 public:
  // Opens or makes the file and locks it. Throws Error when another process has it; `owner` then
  // says who that is, in brackets or not at all.
  JournalFile(std::string path, const std::function<std::string()>& owner);
  // Removes a file that has no bytes.
  ~JournalFile();
  JournalFile(const JournalFile&) = delete;
  JournalFile& operator=(const JournalFile&) = delete;

  const std::string& path() const { return path_; }
  int fd() const { return fd_; }
  int64_t size() const { return size_; }
  int64_t last_write() const;  // in seconds since 1970

  // Before the first append: forgets what is behind the first `size` bytes.
  void cut(int64_t size);
  // The same for lines that `keeps` is false for.
  void keep(const std::function<bool(const JournalLine&)>& keeps) { refill(fd_, path_, keeps); }
  // Before the first append: holds the lines of another file that `keeps` is true for. All or none,
  // whatever happens meanwhile.
  void refill(int from, const std::string& from_path,
              const std::function<bool(const JournalLine&)>& keeps);

  // On its way to the system when this returns, on disk a second later. Throws Error when it cannot
  // be written; the lines before are whole. Throws what check_sound() throws.
  void append(std::string_view line);
  // Throws Error when what was written could not be synced, or the file was removed meanwhile.
  void check_sound();
  // On disk when this returns. There is nothing to append after it.
  void sync();
  // Syncs, and gives the file its final name, in the same folder.
  void rename_to(const std::string& path);
  // The other end: what it held is elsewhere.
  void remove();

 private:
  void open_and_lock(const std::function<std::string()>& owner);
  void write(std::string_view text);
  void sync_now();
  void sync_every_second();
  void end_thread();
  void check_is_there() const;

  std::string path_;
  int fd_ = -1;
  int64_t size_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_dirty_ = false, stops_ = false;
  std::string failure_;  // of the thread
  std::thread thread_;   // from the first append on
};

}  // namespace ll
