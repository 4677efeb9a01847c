#pragma once
// The SHA-256 of files, taken on a thread of its own while they are converted.
#include <atomic>
#include <cstdint>
#include <exception>
#include <map>
#include <string>
#include <thread>
#include <vector>

namespace ll {

class FileHasher {
 public:
  explicit FileHasher(std::vector<std::string> paths);
  ~FileHasher();  // gives up what is not finished

  uint64_t total_bytes() const { return total_bytes_; }
  uint64_t done_bytes() const { return done_bytes_; }
  bool is_done() const { return finished_; }
  // File name -> hash. Waits, and throws what went wrong.
  const std::map<std::string, std::string>& hashes();

 private:
  void run();

  std::vector<std::string> paths_;
  std::map<std::string, std::string> hashes_;
  uint64_t total_bytes_ = 0;
  std::atomic<uint64_t> done_bytes_ = 0;
  std::atomic<bool> finished_ = false, stop_ = false;
  std::exception_ptr error_;
  std::thread thread_;
};

}  // namespace ll
