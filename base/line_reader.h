#pragma once
// Lines of a file or of standard input, in bounded memory.
#include <cstdint>
#include <cstdio>
#include <string>

namespace ll {

class LineReader {
 public:
  // "-" is standard input. Throws Error when the file cannot be read.
  LineReader(std::string path, int64_t max_line_bytes);
  ~LineReader();
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;

  struct Line {
    int64_t number = 0;  // from 1
    std::string text;    // without its end; empty when the line is too long
    bool is_too_long = false;

    bool is_blank() const { return !is_too_long && text.find_first_not_of(" \t\r") == text.npos; }
  };
  // False at the end, and after cancel(). Throws Error where the file is shorter than it was when
  // it was opened, and where its start shows that it is no UTF-8.
  bool next(Line& line);
  // From any thread: no more lines, not even for a next() that waits for input.
  void cancel();
  int64_t num_lines() const { return number_; }  // that next() has given
  // Whether all that will come is there already.
  bool is_file() const { return is_file_; }

 private:
  bool fill();
  void look_ahead(int64_t size);
  void check_end() const;

  std::string path_;
  int fd_ = -1, cancel_fd_ = -1;
  bool is_file_ = false;
  bool is_cancelled_ = false;  // as next() has seen it
  int64_t num_bytes_ = 0;      // read so far
  int64_t min_bytes_ = 0;      // what a regular file held when it was opened
  size_t max_bytes_;
  std::string buffer_;
  size_t begin_ = 0, end_ = 0;
  int64_t number_ = 0;
};

}  // namespace ll
