#include "model/text/jinja/values/percent_format.h"

#include "base/check.h"
#include "base/utf8.h"
#include "model/text/jinja/values/arena.h"
#include "model/text/jinja/values/dict.h"
#include "model/text/jinja/values/number_format.h"
#include "model/text/jinja/values/operators.h"
#include "model/text/jinja/values/python_text.h"
#include "model/text/jinja/values/render_meter.h"
#include "model/text/jinja/values/text_index.h"

namespace ll::jinja {

namespace {

class PercentFormatter {
 public:
  PercentFormatter(const Value& format, const Value& arguments, Arena& arena)
      : rest_(format.text()), is_safe_(format.is_safe()), arguments_(arguments), arena_(arena) {
    bool is_tuple = arguments.is(Kind::kSequence) && arguments.sequence().is_tuple();
    if (is_tuple)
      left_ = arguments.sequence().items;
    else
      left_ = {&arguments_, 1};
  }

  std::string run() {
    while (!rest_.empty()) {
      size_t percent = std::min(rest_.find('%'), rest_.size());
      out_ += rest_.substr(0, percent);
      rest_.remove_prefix(percent);
      if (!rest_.empty()) conversion();
    }
    bool uses_all = left_.empty() || has_names_ || arguments_.is(Kind::kDict);
    check(uses_all, "not all arguments converted during string formatting");
    return std::move(out_);
  }

 private:
  bool take(char c) {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }

  Value next_argument() {
    check(!left_.empty(), "not enough arguments for format string");
    Value value = left_.front();
    left_ = left_.subspan(1);
    return value;
  }

  Value named_argument() {
    check(arguments_.is(Kind::kDict), "format requires a mapping");
    size_t end = rest_.find(')');
    check(end != rest_.npos, "incomplete format key");
    const Value* value = arguments_.dict().find(rest_.substr(0, end));
    if (value == nullptr) fail("'{}'", rest_.substr(0, end));
    rest_.remove_prefix(end + 1);
    has_names_ = true;
    return *value;
  }

  void conversion() {
    take('%');
    Value named;
    bool has_name = take('(');
    if (has_name) named = named_argument();
    NumberFormat format;
    bool left = false, zeros = false;
    for (bool found = true; found;) {
      found = true;
      if (take('-'))
        left = true;
      else if (take('0'))
        zeros = true;
      else if (take('+'))
        format.sign = '+';
      else if (take(' '))
        format.sign = format.sign == '+' ? '+' : ' ';
      else if (take('#'))
        format.alternate = true;
      else
        found = false;
    }
    int width = take_number(rest_);
    if (take('.')) format.precision = std::max(0, take_number(rest_));
    check(!rest_.empty(), "incomplete format");
    format.type = rest_[0];
    rest_.remove_prefix(1);
    if (format.type == '%') {
      out_ += '%';
      return;
    }
    pad(converted(has_name ? named : next_argument(), format), width, left,
        zeros && format.type != 's' && format.type != 'r');
  }

  std::string converted(const Value& value, NumberFormat& format) {
    constexpr std::string_view kNumbers = "dixXoeEfFgG";
    if (format.type == 'i' || format.type == 'u') format.type = 'd';
    if (kNumbers.find(format.type) != kNumbers.npos) return format_number(value, format);
    if (format.type == 'c' && value.is(Kind::kInt)) {
      check(value.as_int() >= 0 && value.as_int() < 0xD800, "%c arg not in range");
      std::string text;
      append_utf8(text, static_cast<char32_t>(value.as_int()));
      return text;
    }
    if (format.type != 's' && format.type != 'r' && format.type != 'a' && format.type != 'c')
      fail("unsupported format character '{}'", format.type);
    std::string text = format.type == 's' || format.type == 'c' ? to_str(value) : to_repr(value);
    if (is_safe_) text = escape(value, arena_).text();
    if (format.precision >= 0)
      text.resize(byte_offset(text, static_cast<size_t>(format.precision)));
    return text;
  }

  void pad(std::string text, int width, bool left, bool zeros) {
    auto length = static_cast<int>(count_code_points(text));
    auto missing = static_cast<size_t>(std::max(0, width - length));
    if (left) {
      text.append(missing, ' ');
    } else {
      bool has_sign = zeros && (text.starts_with('-') || text.starts_with('+'));
      text.insert(has_sign ? 1 : 0, missing, zeros ? '0' : ' ');
    }
    RenderMeter::count(1 + text.size() / 8);
    out_ += text;
  }

  std::string_view rest_;
  bool is_safe_;
  Value arguments_;
  Arena& arena_;
  std::span<const Value> left_;
  bool has_names_ = false;
  std::string out_;
};

}  // namespace

Value percent_format(const Value& format, const Value& arguments, Arena& arena) {
  return Value::string(arena.copy(PercentFormatter(format, arguments, arena).run()),
                       format.is_safe());
}

}  // namespace ll::jinja
