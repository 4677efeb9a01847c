#pragma once
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"

namespace ll {

// Names, in the environment, the pipe that is this process's standard output for lines, where its
// own is not to be used.
constexpr const char* kStandardOutputVariable = "LITELANG_STANDARD_OUTPUT";

// The reader of standard output has read enough and closed it, as `head` does. Nothing to be told.
class ReaderGone : public Error {
  using Error::Error;
};

// Lines to a file, a pipe, a device or standard output ("-"), each on its way to the system before
// write_line returns, but for a pipe whose reader is slow: what it does not take waits here. A
// regular file is locked for as long as it is written.
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
  // Whether lines wait for the reader of a pipe.
  bool is_waiting() const { return !waiting_.empty(); }
  // Hands on what the reader takes within `patience`.
  void flush(std::chrono::milliseconds patience);
  // For the reader of a pipe it waits. Throws Error when the system reports a late failure. The
  // file stays, even if it is empty, and holds the lines written, if none, none.
  void close();

 private:
  // False: the file was removed by who held it before; open it again.
  bool open(bool overwrite);
  void open_standard_output();
  void replace_old();
  // False: a pipe is full.
  bool write_some(std::string_view& bytes);
  [[noreturn]] void fail_write(int reason);

  std::string path_, waiting_;
  int fd_ = -1;
  bool is_regular_ = false, is_ours_ = false, is_standard_ = false;
  bool holds_old_ = false;  // what `overwrite` may replace
  int64_t num_bytes_ = 0;   // of whole lines
};

}  // namespace ll
