// Methods of str that look at a text, and those of lists and dicts.
#include "base/check.h"
#include "base/utf8.h"
#include "model/text/jinja/builtins/builtin_tables.h"
#include "model/text/jinja/builtins/letter_case.h"
#include "model/text/jinja/evaluator/evaluator.h"
#include "model/text/jinja/values/cursor.h"
#include "model/text/jinja/values/operators.h"
#include "model/text/jinja/values/python_text.h"
#include "model/text/jinja/values/text_find.h"
#include "model/text/jinja/values/text_index.h"
#include "model/text/jinja/values/white_space.h"

#include <utf8proc.h>

namespace ll::jinja {

namespace {

std::optional<int64_t> bound_of(const Value& value) {
  if (value.is_missing() || value.is(Kind::kNone)) return {};
  return int_argument(value);
}

// The part of a text that the arguments start and end leave.
struct Window {
  std::string_view text;
  size_t first = 0;  // its first character's place in the whole
  bool is_valid = true;
};
Window window(std::string_view text, const Value& start, const Value& end) {
  if (start.is_missing() && end.is_missing()) return {text};
  size_t length = count_code_points(text);
  SliceRange range = slice_range(bound_of(start), bound_of(end), 1, length);
  bool is_valid = bound_of(start).value_or(0) <= static_cast<int64_t>(length);
  size_t begin = byte_offset(text, static_cast<size_t>(range.first));
  return {text.substr(begin, byte_offset(text.substr(begin), range.count)),
          static_cast<size_t>(range.first), is_valid};
}

bool has_affix(std::string_view text, const Value& affix, bool prefix) {
  return prefix ? text.starts_with(affix.text()) : text.ends_with(affix.text());
}

template <bool Prefix>
Value affix_test(Evaluator&, const Value& self, const Bound& bound) {
  Window part = window(self.text(), bound[1], bound[2]);
  const Value& affix = bound[0];
  if (affix.is(Kind::kString))
    return Value::boolean(part.is_valid && has_affix(part.text, affix, Prefix));
  if (!affix.is(Kind::kSequence) || !affix.sequence().is_tuple())
    fail("{} first arg must be str or a tuple of str, not {}", Prefix ? "startswith" : "endswith",
         type_name(affix));
  for (const Value& one : affix.sequence().items) {
    text_argument(one);
    if (part.is_valid && has_affix(part.text, one, Prefix)) return Value::boolean(true);
  }
  return Value::boolean(false);
}

template <bool FromRight, bool MustBeThere>
Value find(Evaluator&, const Value& self, const Bound& bound) {
  Window part = window(self.text(), bound[1], bound[2]);
  std::string_view wanted = text_argument(bound[0]);
  size_t at = FromRight ? find_last_text(part.text, wanted) : find_text(part.text, wanted);
  bool is_there = part.is_valid && at != std::string_view::npos;
  check(is_there || !MustBeThere, "substring not found");
  if (!is_there) return Value::integer(-1);
  return Value::integer(
      static_cast<int64_t>(part.first + count_code_points(part.text.substr(0, at))));
}

Value count(Evaluator&, const Value& self, const Bound& bound) {
  Window part = window(self.text(), bound[1], bound[2]);
  std::string_view wanted = text_argument(bound[0]);
  if (!part.is_valid) return Value::integer(0);
  if (wanted.empty()) return Value::integer(static_cast<int64_t>(count_code_points(part.text)) + 1);
  int64_t n = 0;
  for (size_t at = find_text(part.text, wanted); at != std::string_view::npos;
       at = find_text(part.text, wanted, at + wanted.size()))
    ++n;
  return Value::integer(n);
}

// Whether there are characters, and all are of a kind.
template <bool (*Is)(char32_t)>
Value all_are(Evaluator&, const Value& self, const Bound&) {
  std::string_view text = self.text();
  for (size_t pos = 0; pos < text.size();)
    if (!Is(next_code_point(text, pos))) return Value::boolean(false);
  return Value::boolean(!text.empty());
}

bool is_category(char32_t point, std::initializer_list<int> wanted) {
  int category = utf8proc_category(static_cast<utf8proc_int32_t>(point));
  for (int one : wanted)
    if (category == one) return true;
  return false;
}
bool is_decimal(char32_t point) { return is_category(point, {UTF8PROC_CATEGORY_ND}); }
bool is_digit(char32_t point) {
  bool is_raised = point == 0xB2 || point == 0xB3 || point == 0xB9 || point == 0x2070 ||
                   (point >= 0x2074 && point <= 0x2079) || (point >= 0x2080 && point <= 0x2089);
  return is_raised || is_decimal(point);
}
bool is_numeric(char32_t point) {
  return is_category(point, {UTF8PROC_CATEGORY_ND, UTF8PROC_CATEGORY_NL, UTF8PROC_CATEGORY_NO});
}
bool is_alphanumeric(char32_t point) { return is_letter(point) || is_numeric(point); }

Value is_ascii(Evaluator&, const Value& self, const Bound&) {
  for (char c : self.text())
    if (static_cast<unsigned char>(c) >= 0x80) return Value::boolean(false);
  return Value::boolean(true);
}

template <bool Upper>
Value is_case(Evaluator&, const Value& self, const Bound&) {
  return Value::boolean(has_case(self.text(), Upper));
}

Value is_title(Evaluator&, const Value& self, const Bound&) {
  std::string_view text = self.text();
  bool is_cased = to_upper(text) != to_lower(text);
  return Value::boolean(is_cased && to_title(text) == text);
}

Value list_index(Evaluator&, const Value& self, const Bound& bound) {
  std::span<const Value> items = self.sequence().items;
  for (size_t i = 0; i < items.size(); ++i)
    if (equals(items[i], bound[0])) return Value::integer(static_cast<int64_t>(i));
  fail("{} is not in {}", to_repr(bound[0]), type_name(self));
}

Value list_count(Evaluator&, const Value& self, const Bound& bound) {
  int64_t n = 0;
  for (const Value& item : self.sequence().items) n += equals(item, bound[0]);
  return Value::integer(n);
}

Value same(Evaluator&, const Value& self, const Bound&) { return self; }

Value dict_get(Evaluator&, const Value& self, const Bound& bound) {
  if (const Value* value = self.dict().find(bound[0])) return *value;
  return bound[1].is_missing() ? Value::none() : bound[1];
}

template <Sequence::Flavor Flavor>
Value dict_view(Evaluator& e, const Value& self, const Bound&) {
  std::vector<Value> items;
  e.charge(self.dict().size());
  for (const Dict::Entry& entry : self.dict().entries()) {
    Value pair[] = {entry.key, entry.value};
    items.push_back(Flavor == Sequence::Flavor::kKeys     ? entry.key
                    : Flavor == Sequence::Flavor::kValues ? entry.value
                                                          : e.list(pair, Sequence::Flavor::kTuple));
  }
  return e.list(items, Flavor);
}

#define LL_WINDOW .required = 1, .parameters = {"sub", "start", "end"}
constexpr Builtin kTextMethods[] = {
    {.name = "count", .run = count, LL_WINDOW},
    {.name = "endswith", .run = affix_test<false>, LL_WINDOW},
    {.name = "find", .run = find<false, false>, LL_WINDOW},
    {.name = "index", .run = find<false, true>, LL_WINDOW},
    {.name = "isalnum", .run = all_are<is_alphanumeric>},
    {.name = "isalpha", .run = all_are<is_letter>},
    {.name = "isascii", .run = is_ascii},
    {.name = "isdecimal", .run = all_are<is_decimal>},
    {.name = "isdigit", .run = all_are<is_digit>},
    {.name = "islower", .run = is_case<false>},
    {.name = "isnumeric", .run = all_are<is_numeric>},
    {.name = "isspace", .run = all_are<is_space>},
    {.name = "istitle", .run = is_title},
    {.name = "isupper", .run = is_case<true>},
    {.name = "rfind", .run = find<true, false>, LL_WINDOW},
    {.name = "rindex", .run = find<true, true>, LL_WINDOW},
    {.name = "startswith", .run = affix_test<true>, LL_WINDOW},
};
#undef LL_WINDOW

// Those without a function would change the list or dict.
constexpr Builtin kListMethods[] = {
    {.name = "append"},
    {.name = "clear"},
    {.name = "copy", .run = same},
    {.name = "count", .run = list_count, .required = 1, .parameters = {"value"}},
    {.name = "extend"},
    {.name = "index", .run = list_index, .required = 1, .parameters = {"value"}},
    {.name = "insert"},
    {.name = "pop"},
    {.name = "remove"},
    {.name = "reverse"},
    {.name = "sort"},
};
constexpr Builtin kDictMethods[] = {
    {.name = "clear"},
    {.name = "copy", .run = same},
    {.name = "get", .run = dict_get, .required = 1, .parameters = {"key", "default"}},
    {.name = "items", .run = dict_view<Sequence::Flavor::kItems>},
    {.name = "keys", .run = dict_view<Sequence::Flavor::kKeys>},
    {.name = "pop"},
    {.name = "popitem"},
    {.name = "setdefault"},
    {.name = "update"},
    {.name = "values", .run = dict_view<Sequence::Flavor::kValues>},
};

}  // namespace

std::span<const Builtin> text_search_methods() { return kTextMethods; }
std::span<const Builtin> list_methods() { return kListMethods; }
std::span<const Builtin> dict_methods() { return kDictMethods; }

}  // namespace ll::jinja
