#include "model/text/jinja/builtins/brace_format.h"

#include "base/check.h"
#include "base/printable.h"
#include "base/utf8.h"
#include "model/text/jinja/builtins/text_methods.h"
#include "model/text/jinja/evaluator/evaluator.h"
#include "model/text/jinja/values/number_format.h"
#include "model/text/jinja/values/python_text.h"
#include "model/text/jinja/values/text_index.h"

namespace ll::jinja {

namespace {

class BraceFormatter {
 public:
  BraceFormatter(Evaluator& evaluator, std::string_view format, const Arguments& arguments)
      : evaluator_(evaluator), rest_(format), arguments_(arguments) {}

  std::string run() {
    while (!rest_.empty()) {
      size_t brace = std::min(rest_.find_first_of("{}"), rest_.size());
      out_ += rest_.substr(0, brace);
      rest_.remove_prefix(brace);
      if (rest_.empty()) break;
      char c = rest_[0];
      rest_.remove_prefix(1);
      if (rest_.starts_with(c)) {
        out_ += c;
        rest_.remove_prefix(1);
        continue;
      }
      check(c == '{', "Single '}}' encountered in format string");
      field();
    }
    return std::move(out_);
  }

 private:
  void field() {
    size_t end = rest_.find('}');
    check(end != rest_.npos, "expected '}}' before end of string");
    std::string_view field = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    check(field.find('{') == field.npos, "fields inside of a format field are not supported");
    size_t colon = std::min(field.find(':'), field.size());
    std::string_view spec = field.substr(std::min(colon + 1, field.size()));
    std::string_view name = field.substr(0, colon);
    size_t mark = name.find('!');
    std::string_view conversion = mark == name.npos ? "" : name.substr(mark + 1);
    Value value = argument(name.substr(0, mark));
    check(conversion.empty() || conversion == "r" || conversion == "s",
          "Unknown conversion specifier '{}'", printable(conversion, 20));
    if (conversion == "r") value = evaluator_.text(to_repr(value));
    if (conversion == "s") value = evaluator_.text(to_str(value));
    formatted(value, spec);
  }

  Value argument(std::string_view path) {
    size_t end = std::min(path.find_first_of(".["), path.size());
    std::string_view name = path.substr(0, end);
    Value value = first_part(name);
    for (std::string_view rest = path.substr(end); !rest.empty();) {
      bool is_item = rest[0] == '[';
      rest.remove_prefix(1);
      size_t stop = is_item ? rest.find(']') : std::min(rest.find_first_of(".["), rest.size());
      check(stop != rest.npos, "Missing ']' in format string");
      std::string_view part = rest.substr(0, stop);
      value = is_item ? evaluator_.item(value, part_of(part)) : evaluator_.attribute(value, part);
      if (value.is(Kind::kUndefined)) raise_undefined(value);
      rest.remove_prefix(std::min(rest.size(), stop + (is_item ? 1 : 0)));
    }
    return value;
  }

  static Value part_of(std::string_view text) {
    std::string_view digits = text;
    int number = take_number(digits);
    return digits.empty() && number >= 0 ? Value::integer(number) : Value::string(text);
  }

  Value first_part(std::string_view name) {
    std::string_view digits = name;
    int index = name.empty() ? next_++ : take_number(digits);
    if (name.empty() || (digits.empty() && index >= 0)) {
      check(static_cast<size_t>(index) < arguments_.positional.size(),
            "Replacement index {} out of range for positional args tuple", index);
      return arguments_.positional[static_cast<size_t>(index)];
    }
    for (const NamedValue& named : arguments_.named)
      if (named.name == name) return named.value;
    fail("'{}'", printable(name, 40));
  }

  // [[fill]align][sign][#][0][width][,][.precision][type]
  void formatted(const Value& value, std::string_view spec) {
    std::string_view fill = " ";
    char align = value.is_number() ? '>' : '<';
    size_t first = 0;
    if (!spec.empty()) next_code_point(spec, first);
    constexpr std::string_view kAligns = "<>^=";
    if (first < spec.size() && kAligns.find(spec[first]) != kAligns.npos) {
      fill = spec.substr(0, first);
      align = spec[first];
      spec.remove_prefix(first + 1);
    } else if (!spec.empty() && kAligns.find(spec[0]) != kAligns.npos) {
      align = spec[0];
      spec.remove_prefix(1);
    }
    NumberFormat format;
    auto take = [&](char c) { return spec.starts_with(c) && (spec.remove_prefix(1), true); };
    for (char sign : {'+', '-', ' '})
      if (take(sign)) format.sign = sign;
    format.alternate = take('#');
    if (spec.starts_with('0') && value.is_number()) {
      fill = "0";
      align = '=';
    }
    int width = take_number(spec);
    format.thousands = take(',');
    if (take('.')) format.precision = take_number(spec);
    format.type = spec.empty() ? '\0' : spec[0];
    check(spec.size() <= 1, "Invalid format specifier");
    aligned(converted(value, format), width, fill, align);
  }

  static std::string converted(const Value& value, NumberFormat& format) {
    if (value.is(Kind::kString) || !value.is_number()) {
      if (format.type != '\0' && format.type != 's')
        fail("Unknown format code '{}' for object of type '{}'", format.type, type_name(value));
      std::string text = to_str(value);
      if (format.precision >= 0)
        text.resize(byte_offset(text, static_cast<size_t>(format.precision)));
      return text;
    }
    if (format.type == '\0' && (value.is(Kind::kBool) || value.is(Kind::kFloat)) &&
        format.precision < 0)
      return to_str(value);
    if (format.type == '\0') format.type = value.is(Kind::kFloat) ? 'g' : 'd';
    constexpr std::string_view kWhole = "dxXob";
    bool is_whole_type = kWhole.find(format.type) != kWhole.npos;
    if (is_whole_type && value.is(Kind::kFloat))
      fail("Unknown format code '{}' for object of type 'float'", format.type);
    return format_number(value, format);
  }

  void aligned(const std::string& text, int width, std::string_view fill, char align) {
    size_t sign = align == '=' && (text.starts_with('-') || text.starts_with('+')) ? 1 : 0;
    auto length = static_cast<int>(count_code_points(text));
    auto missing = static_cast<size_t>(std::max(0, width - length));
    evaluator_.charge(1 + text.size() / 8);
    size_t left = align == '<' ? 0 : align == '^' ? missing / 2 : missing;
    out_ += text.substr(0, sign);
    for (size_t i = 0; i < left; ++i) out_ += fill;
    out_ += text.substr(sign);
    for (size_t i = left; i < missing; ++i) out_ += fill;
  }

  Evaluator& evaluator_;
  std::string_view rest_;
  const Arguments& arguments_;
  int next_ = 0;
  std::string out_;
};

}  // namespace

Value brace_format(Evaluator& evaluator, const Value& self, const Arguments& arguments) {
  return Value::string(
      evaluator.arena().copy(BraceFormatter(evaluator, self.text(), arguments).run()),
      self.is_safe());
}

}  // namespace ll::jinja
