#pragma once
// Which lines of an input a job answers.
#include <cstdint>
#include <string>

namespace ll {

// Both inclusive, from 1; empty where last < first.
struct LineRange {
  int64_t first = 1, last = INT64_MAX;

  bool contains(int64_t line) const { return line >= first && line <= last; }
  int64_t size() const { return last < first ? 0 : last - first + 1; }
  bool operator==(const LineRange&) const = default;
};

// One of `count` shares of a file's lines that differ by at most one in size, by number from 1.
struct LinePart {
  int64_t index = 1, count = 1;

  LineRange of(int64_t num_lines) const {
    // The product of two counts of lines fits in no 64 bits; that of a remainder and a part does.
    auto begin = [&](int64_t parts) {
      return num_lines / count * parts + num_lines % count * parts / count;
    };
    return {begin(index - 1) + 1, begin(index)};
  }
  bool is_all() const { return count == 1; }
  bool operator==(const LinePart&) const = default;
};

constexpr int64_t kMaxParts = 1'000'000;

// "3/8"; throws Error that says what is wrong.
LinePart parse_line_part(const std::string& text);
std::string part_text(const LinePart& part);

}  // namespace ll
