#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace ll {

// Lines to a file, a pipe, a device or standard output ("-"), each on its way to the system before
// write_line returns.
class OutputFile {
 public:
  // Throws Error when the file exists and `overwrite` is off, or cannot be written.
  OutputFile(const std::string& path, bool overwrite);
  // Removes the file if no line was written to it.
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write_line(std::string_view text);
  // Throws Error when the system reports a late failure. The file stays, even if it is empty.
  void close();

 private:
  std::string path_;
  int fd_ = -1;
  bool is_regular_ = false;
  int64_t num_bytes_ = 0;  // of whole lines
};

}  // namespace ll
