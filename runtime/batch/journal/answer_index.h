#pragma once
// Where the records of an output or a journal stand, by line of the input.
#include <cstdint>
#include <string>
#include <vector>

#include "runtime/config/line_range.h"

namespace ll {

class AnswerIndex {
 public:
  // The lines of the open file are records of `lines`; 16 bytes for each. `path` is for errors.
  AnswerIndex(int fd, std::string path, const LineRange& lines);

  // The record of a line of the input; empty where it has none.
  std::string record_of(int64_t line) const;
  // None behind it has one.
  int64_t last_line() const { return lines_.first + static_cast<int64_t>(places_.size()) - 1; }

 private:
  struct Place {
    int64_t offset = 0;
    int64_t length = 0;  // 0: the line has no record
  };

  int fd_;
  std::string path_;
  LineRange lines_;
  std::vector<Place> places_;  // of lines from the first on
};

}  // namespace ll
