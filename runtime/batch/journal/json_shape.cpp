#include "runtime/batch/journal/json_shape.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace ll {
namespace {

enum class Next : uint8_t { kValue, kElementOrEnd, kKey, kKeyOrEnd, kColon, kCommaOrEnd };

// Bytes that end a run of a string's plain ones: the quote, the escape, control characters.
constexpr std::array<bool, 256> kStopsString = [] {
  std::array<bool, 256> stops = {};
  for (size_t c = 0; c < 0x20; ++c) stops[c] = true;
  stops['"'] = stops['\\'] = true;
  return stops;
}();

class ShapeScan {
 public:
  explicit ShapeScan(std::string_view text) : at_(text.data()), end_(text.data() + text.size()) {}

  bool is_object() {
    if (at_ == end_ || *at_ != '{') return false;
    while (at_ != end_)
      if (!step())
        return false;
      else if (open_.empty())
        return at_ == end_;
    return false;
  }

 private:
  bool step() {
    char c = *at_++;
    switch (c) {
      case '"':
        return take_string();
      case '{':
        return is_value_due() && push('}', Next::kKeyOrEnd);
      case '[':
        return is_value_due() && push(']', Next::kElementOrEnd);
      case '}':
      case ']':
        return pop(c);
      case ':':
        return move(Next::kColon, Next::kValue);
      case ',':
        return move(Next::kCommaOrEnd, open_.back() == '}' ? Next::kKey : Next::kValue);
      case ' ':
        return true;
      default:
        return is_value_due() && take_scalar(c);
    }
  }
  bool is_value_due() const { return next_ == Next::kValue || next_ == Next::kElementOrEnd; }
  bool push(char end, Next next) {
    open_ += end;
    next_ = next;
    return true;
  }
  bool pop(char c) {
    bool may_end =
        next_ == Next::kCommaOrEnd || next_ == (c == '}' ? Next::kKeyOrEnd : Next::kElementOrEnd);
    if (!may_end || open_.back() != c) return false;
    open_.pop_back();
    next_ = Next::kCommaOrEnd;
    return true;
  }
  bool move(Next from, Next to) {
    if (next_ != from) return false;
    next_ = to;
    return true;
  }
  bool take_string() {
    bool is_key = next_ == Next::kKey || next_ == Next::kKeyOrEnd;
    if (!is_key && !is_value_due()) return false;
    for (;; ++at_) {
      while (at_ != end_ && !kStopsString[static_cast<uint8_t>(*at_)]) ++at_;
      if (at_ == end_) return false;
      if (*at_ == '"') break;
      if (*at_ != '\\' || ++at_ == end_) return false;
    }
    ++at_;
    next_ = is_key ? Next::kColon : Next::kCommaOrEnd;
    return true;
  }
  bool take_scalar(char first) {
    const char* begin = at_ - 1;
    while (at_ != end_ &&
           (static_cast<uint8_t>(*at_ - '0') < 10 || static_cast<uint8_t>(*at_ - 'a') < 26 ||
            *at_ == '.' || *at_ == 'E' || *at_ == '+' || *at_ == '-'))
      ++at_;
    std::string_view word(begin, static_cast<size_t>(at_ - begin));
    next_ = Next::kCommaOrEnd;
    if (static_cast<uint8_t>(first - '0') < 10) return true;
    return first == '-' ? word.size() > 1 : word == "true" || word == "false" || word == "null";
  }

  const char *at_, *end_;
  std::string open_;  // the ends of what is open, outermost first
  Next next_ = Next::kValue;
};

}  // namespace

bool is_whole_object(std::string_view text) { return ShapeScan(text).is_object(); }

}  // namespace ll
