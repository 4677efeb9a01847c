#pragma once
#include <string>
#include <string_view>

namespace ll {

// Lines to a file or to standard output ("-"), each on its way to the system before write_line
// returns.
class OutputFile {
 public:
  // Throws Error when the file exists and `overwrite` is off, or cannot be written.
  OutputFile(const std::string& path, bool overwrite);
  // Removes the file if nothing was written to it.
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write_line(std::string_view text);
  // Throws Error when the system reports a late failure.
  void close();

 private:
  std::string path_;
  int fd_ = -1;
  bool is_written_ = false;
};

}  // namespace ll
