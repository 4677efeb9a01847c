#pragma once
// A file open for reading at any offset. Errors are ll::Error and name the path.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace ll {

class InputFile {
 public:
  // A regular file, through links, that is no Git LFS pointer.
  explicit InputFile(std::string path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  const std::string& path() const { return path_; }
  uint64_t size() const { return size_; }
  int fd() const { return fd_; }

  // Fills `out` from `offset`. Several threads may read at once.
  void read(uint64_t offset, std::span<std::byte> out) const;
  std::string read_all(uint64_t max_bytes) const;

 private:
  std::string path_;
  int fd_ = -1;
  uint64_t size_ = 0;
};

}  // namespace ll
