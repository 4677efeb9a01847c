#include "model/text/jinja/builtins/json_writer.h"

#include <algorithm>

#include "base/check.h"
#include "base/json_tree.h"
#include "base/utf8.h"
#include "model/text/jinja/evaluator/evaluator.h"
#include "model/text/jinja/values/cursor.h"
#include "model/text/jinja/values/operators.h"
#include "model/text/jinja/values/python_text.h"
#include "model/text/jinja/values/render_meter.h"

namespace ll::jinja {

namespace {

struct JsonStyle {
  bool ensure_ascii = false, sort_keys = false, breaks_lines = false;
  std::string indent, between_items = ", ", between_key_and_value = ": ";
};

class JsonWriter {
 public:
  explicit JsonWriter(const JsonStyle& style) : style_(style) {}

  std::string run(const Value& value) {
    write(value, 0);
    return std::move(out_);
  }

 private:
  void write(const Value& value, int depth) {
    check(depth < kMaxValueDepth, "a value is nested deeper than {} levels", kMaxValueDepth);
    RenderMeter::count(1);
    switch (value.kind()) {
      case Kind::kNone:
        out_ += "null";
        break;
      case Kind::kBool:
        out_ += value.as_bool() ? "true" : "false";
        break;
      case Kind::kInt:
      case Kind::kBigInt:
        append_str(out_, value);
        break;
      case Kind::kFloat:
        out_ += number(value);
        break;
      case Kind::kString:
        string(value.text());
        break;
      case Kind::kDict:
        object(value.dict(), depth);
        break;
      case Kind::kSequence:
        if (value.sequence().is_list() || value.sequence().is_tuple())
          return array(value.sequence(), depth);
        [[fallthrough]];
      default:
        fail("Object of type {} is not JSON serializable", type_name(value));
    }
  }

  static std::string number(const Value& value) {
    std::string text = to_str(value);
    return text == "nan" ? "NaN" : text == "inf" ? "Infinity" : text == "-inf" ? "-Infinity" : text;
  }

  void string(std::string_view text) {
    RenderMeter::count(text.size() / 16);
    size_t begin = out_.size();
    append_json_string(out_, text);
    if (!style_.ensure_ascii) return;
    std::string quoted = out_.substr(begin);
    out_.resize(begin);
    for (size_t pos = 0; pos < quoted.size();) {
      char32_t point = next_code_point(quoted, pos);
      auto code = static_cast<uint32_t>(point);
      if (code < 0x7F)
        out_ += static_cast<char>(code);
      else if (code < 0x10000)
        out_ += code == 0x7F ? "\x7F" : fmt::format("\\u{:04x}", code);
      else
        out_ += fmt::format("\\u{:04x}\\u{:04x}", 0xD7C0 + (code >> 10), 0xDC00 + (code & 0x3FF));
    }
  }

  void break_line(int depth) {
    if (!style_.breaks_lines) return;
    out_ += '\n';
    for (int i = 0; i < depth; ++i) out_ += style_.indent;
  }

  void array(const Sequence& sequence, int depth) {
    out_ += '[';
    for (const Value& item : sequence.items) {
      if (&item != sequence.items.data()) out_ += style_.between_items;
      break_line(depth + 1);
      write(item, depth + 1);
    }
    if (!sequence.items.empty()) break_line(depth);
    out_ += ']';
  }

  void object(const Dict& dict, int depth) {
    std::vector<Dict::Entry> entries(dict.entries().begin(), dict.entries().end());
    if (style_.sort_keys)
      std::stable_sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
        return compare(a.key, b.key, Operator::kLess).value_or(1) < 0;
      });
    out_ += '{';
    for (const Dict::Entry& entry : entries) {
      if (&entry != entries.data()) out_ += style_.between_items;
      break_line(depth + 1);
      string(key_text(entry.key));
      out_ += style_.between_key_and_value;
      write(entry.value, depth + 1);
    }
    if (!entries.empty()) break_line(depth);
    out_ += '}';
  }

  static std::string key_text(const Value& key) {
    switch (key.kind()) {
      case Kind::kNone:
        return "null";
      case Kind::kBool:
        return key.as_bool() ? "true" : "false";
      case Kind::kFloat:
        return number(key);
      case Kind::kInt:
      case Kind::kBigInt:
      case Kind::kString:
        return to_str(key);
      default:
        fail("keys must be str, int, float, bool or None, not {}", type_name(key));
    }
  }

  const JsonStyle& style_;
  std::string out_;
};

}  // namespace

Value tojson(Evaluator& evaluator, const Value& self, const Bound& bound) {
  JsonStyle style{.ensure_ascii = is_true(bound[0]), .sort_keys = is_true(bound[3])};
  const Value &indent = bound[1], &separators = bound[2];
  if (!indent.is_missing() && !indent.is(Kind::kNone)) {
    constexpr int64_t kMaxIndent = 64;
    style.breaks_lines = true;
    style.between_items = ",";
    style.indent = indent.is(Kind::kString) ? std::string(indent.text())
                                            : std::string(static_cast<size_t>(std::clamp<int64_t>(
                                                              int_argument(indent), 0, kMaxIndent)),
                                                          ' ');
  }
  if (!separators.is_missing() && !separators.is(Kind::kNone)) {
    std::span<const Value> both = items_of(separators, evaluator.arena());
    check(both.size() == 2, "separators must be two texts");
    style.between_items = text_argument(both[0]);
    style.between_key_and_value = text_argument(both[1]);
  }
  std::string json = JsonWriter(style).run(self);
  evaluator.charge(json.size() / 16);
  return evaluator.text(json);
}

}  // namespace ll::jinja
