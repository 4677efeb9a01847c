#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace ll {

// Lines to a file, a pipe, a device or standard output ("-"), each on its way to the system before
// write_line returns. A regular file is locked for as long as it is written.
class OutputFile {
 public:
  // Throws Error when the file holds something and `overwrite` is off, when it cannot be written,
  // and when another process writes it. What it holds stays until the first line.
  OutputFile(const std::string& path, bool overwrite);
  // Removes the file if it was made here and no line was written to it.
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write_line(std::string_view text);
  // Throws Error when the system reports a late failure. The file stays, even if it is empty, and
  // holds the lines written, if none, none.
  void close();

 private:
  // False: the file was removed by who held it before; open it again.
  bool open(bool overwrite);
  void replace_old();

  std::string path_;
  int fd_ = -1;
  bool is_regular_ = false, is_ours_ = false;
  bool holds_old_ = false;  // what `overwrite` may replace
  int64_t num_bytes_ = 0;   // of whole lines
};

}  // namespace ll
