#pragma once
// Server-sent events, out of the pieces in which they arrive.
#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

namespace ll {

class EventStream {
 public:
  // Takes the next bytes; calls `take` with the data of each event that they complete.
  template <class Take>
  void push(std::string_view bytes, const Take& take) {
    for (char c : bytes) {
      bool follows_return = std::exchange(has_return_, c == '\r');
      if (c == '\n' && follows_return) continue;
      if (c != '\n' && c != '\r') {
        line_ += c;
        continue;
      }
      if (line_.empty() && has_data_) take(std::string_view(data_));
      if (line_.empty()) data_.clear(), has_data_ = false;
      take_line();
      line_.clear();
    }
  }

 private:
  // Comments, and fields that are not `data`, say nothing here.
  void take_line() {
    constexpr std::string_view kField = "data";
    std::string_view line = line_, name = line.substr(0, line.find(':'));
    if (name != kField) return;
    if (std::exchange(has_data_, true)) data_ += '\n';
    line.remove_prefix(std::min(line.size(), name.size() + 1));
    if (line.starts_with(' ')) line.remove_prefix(1);
    data_ += line;
  }

  std::string line_, data_;
  bool has_return_ = false, has_data_ = false;
};

}  // namespace ll
