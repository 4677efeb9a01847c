// Filters of texts. Like Jinja's they take any value by its printed form.
#include "base/check.h"
#include "base/utf8.h"
#include "model/text/jinja/builtins/builtin_tables.h"
#include "model/text/jinja/builtins/letter_case.h"
#include "model/text/jinja/builtins/text_methods.h"
#include "model/text/jinja/builtins/text_split.h"
#include "model/text/jinja/evaluator/evaluator.h"
#include "model/text/jinja/values/operators.h"
#include "model/text/jinja/values/percent_format.h"
#include "model/text/jinja/values/python_text.h"
#include "model/text/jinja/values/text_index.h"

namespace ll::jinja {

namespace {

Value as_text(Evaluator& e, const Value& self) {
  return self.is(Kind::kString) ? self : e.text(to_str(self));
}

Value string(Evaluator& e, const Value& self, const Bound&) { return as_text(e, self); }

Value trim(Evaluator& e, const Value& self, const Bound& bound) {
  return stripped(as_text(e, self), bound[0], true, true);
}

template <std::string (*Change)(std::string_view)>
Value changed_string(Evaluator& e, const Value& self, const Bound&) {
  Value text = as_text(e, self);
  return Value::string(e.arena().copy(Change(text.text())), text.is_safe());
}

// Words begin behind blanks, dashes and opening brackets, not behind apostrophes.
std::string title_of(std::string_view text) {
  std::string out;
  size_t begin = 0;
  for (size_t end = 0; begin < text.size(); begin = end) {
    constexpr std::string_view kBeforeWord = "- \t\n\r\f\v({[<";
    end = text.find_first_of(kBeforeWord, begin);
    if (end == begin) {
      end = std::min(text.find_first_not_of(kBeforeWord, begin), text.size());
      out += text.substr(begin, end - begin);
      continue;
    }
    end = std::min(end, text.size());
    size_t rest = begin;
    next_code_point(text, rest);
    out += to_upper(text.substr(begin, rest - begin));
    out += to_lower(text.substr(rest, end - rest));
  }
  return out;
}

Value replace_in_string(Evaluator& e, const Value& self, const Bound& bound) {
  int64_t limit = bound[2].is(Kind::kNone) ? -1 : int_argument(bound[2], -1);
  return e.text(replace_all(e, to_str(self), to_str(bound[0]), to_str(bound[1]), limit));
}

Value safe(Evaluator& e, const Value& self, const Bound&) {
  return Value::string(as_text(e, self).text(), true);
}

Value escape_filter(Evaluator& e, const Value& self, const Bound&) {
  return escape(self, e.arena());
}

Value force_escape(Evaluator& e, const Value& self, const Bound&) {
  return escape(Value::string(as_text(e, self).text()), e.arena());
}

Value format(Evaluator& e, const Value& self, const Arguments& arguments) {
  Value text = as_text(e, self);
  if (arguments.named.empty())
    return percent_format(text, e.list(arguments.positional, Sequence::Flavor::kTuple), e.arena());
  check(arguments.positional.empty(),
        "can't handle positional and keyword arguments at the same time");
  Dict* dict = e.arena().make<Dict>();
  for (const NamedValue& named : arguments.named)
    dict->put(e.arena(), Value::string(named.name), named.value);
  return percent_format(text, Value::of(dict), e.arena());
}

Value indent(Evaluator& e, const Value& self, const Bound& bound) {
  if (self.is(Kind::kUndefined)) raise_undefined(self);
  if (!self.is(Kind::kString))
    fail("unsupported operand type(s) for +=: '{}' and 'str'", type_name(self));
  std::string by = bound[0].is(Kind::kString)
                       ? std::string(bound[0].text())
                       : justify(e, "", int_argument(bound[0], 4), " ", Justify::kLeft);
  std::string text = std::string(self.text()) + "\n", out = is_true(bound[1]) ? by : "";
  bool is_first = true;
  for (std::string_view line : split_lines(text, false)) {
    e.charge(1 + by.size() / 16);
    if (!is_first) out += '\n';
    if (!is_first && (!line.empty() || is_true(bound[2]))) out += by;
    out += line;
    is_first = false;
  }
  return Value::string(e.arena().copy(out), self.is_safe());
}

Value center(Evaluator& e, const Value& self, const Bound& bound) {
  Value text = as_text(e, self);
  return e.text(justify(e, text.text(), int_argument(bound[0], 80), " ", Justify::kCenter));
}

Value truncate(Evaluator& e, const Value& self, const Bound& bound) {
  std::string text = to_str(self);
  std::string_view end = bound[2].is_missing() ? "..." : text_argument(bound[2]);
  auto end_length = static_cast<int64_t>(count_code_points(end));
  int64_t length = int_argument(bound[0], 255), leeway = int_argument(bound[3], 5);
  check(length >= end_length, "expected length >= {}, got {}", end_length, length);
  if (static_cast<int64_t>(count_code_points(text)) <= length + leeway) return e.text(text);
  std::string cut = text.substr(0, byte_offset(text, static_cast<size_t>(length - end_length)));
  if (!is_true(bound[1])) cut = cut.substr(0, cut.rfind(' '));
  return e.text(cut.append(end));
}

Value word_count(Evaluator& e, const Value& self, const Bound&) {
  std::string text = to_str(self);
  e.charge(text.size() / 16);
  int64_t n = 0;
  bool in_word = false;
  for (size_t pos = 0; pos < text.size();) {
    char32_t point = next_code_point(text, pos);
    bool is_word = is_letter(point) || point == '_' || (point >= '0' && point <= '9');
    n += is_word && !in_word;
    in_word = is_word;
  }
  return Value::integer(n);
}

Value url_encode(Evaluator& e, const Value& self, const Bound&) {
  constexpr std::string_view kPlain =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~/";
  std::string out;
  for (char c : to_str(self))
    if (kPlain.find(c) != kPlain.npos)
      out += c;
    else
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  return e.text(out);
}

constexpr Builtin kTextFilters[] = {
    {.name = "capitalize", .run = changed_string<to_capitalized>},
    {.name = "center", .run = center, .parameters = {"width"}},
    {.name = "e", .run = escape_filter},
    {.name = "escape", .run = escape_filter},
    {.name = "forceescape", .run = force_escape},
    {.name = "format", .run_all = format},
    {.name = "indent", .run = indent, .parameters = {"width", "first", "blank"}},
    {.name = "lower", .run = changed_string<to_lower>},
    {.name = "replace",
     .run = replace_in_string,
     .required = 2,
     .parameters = {"old", "new", "count"}},
    {.name = "safe", .run = safe},
    {.name = "string", .run = string},
    {.name = "title", .run = changed_string<title_of>},
    {.name = "trim", .run = trim, .parameters = {"chars"}},
    {.name = "truncate", .run = truncate, .parameters = {"length", "killwords", "end", "leeway"}},
    {.name = "upper", .run = changed_string<to_upper>},
    {.name = "urlencode", .run = url_encode},
    {.name = "wordcount", .run = word_count},
};

}  // namespace

std::span<const Builtin> text_filters() { return kTextFilters; }

}  // namespace ll::jinja
