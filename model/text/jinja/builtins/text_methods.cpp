// Methods of str that make other texts.
#include "model/text/jinja/builtins/text_methods.h"

#include "base/check.h"
#include "base/utf8.h"
#include "model/text/jinja/builtins/brace_format.h"
#include "model/text/jinja/builtins/builtin_tables.h"
#include "model/text/jinja/builtins/letter_case.h"
#include "model/text/jinja/builtins/text_split.h"
#include "model/text/jinja/evaluator/evaluator.h"
#include "model/text/jinja/values/cursor.h"
#include "model/text/jinja/values/operators.h"
#include "model/text/jinja/values/python_text.h"
#include "model/text/jinja/values/text_find.h"
#include "model/text/jinja/values/text_index.h"
#include "model/text/jinja/values/white_space.h"

namespace ll::jinja {

namespace {

// The new text is as safe as the old one.
Value like(Evaluator& e, const Value& self, std::string_view text) {
  return Value::string(e.arena().copy(text), self.is_safe());
}

template <std::string (*Change)(std::string_view)>
Value changed_text(Evaluator& e, const Value& self, const Bound&) {
  return like(e, self, Change(self.text()));
}

template <bool Left, bool Right>
Value strip_method(Evaluator&, const Value& self, const Bound& bound) {
  return stripped(self, bound[0], Left, Right);
}

Value list_of(Evaluator& e, const Value& self, const std::vector<std::string_view>& parts) {
  Value* items = e.arena().array<Value>(parts.size());
  e.charge(parts.size());
  for (size_t i = 0; i < parts.size(); ++i) items[i] = Value::string(parts[i], self.is_safe());
  return Value::of(e.arena().make<Sequence>(std::span<const Value>(items, parts.size())));
}

template <bool FromRight>
Value split(Evaluator& e, const Value& self, const Bound& bound) {
  int64_t limit = int_argument(bound[1], -1);
  if (bound[0].is_missing() || bound[0].is(Kind::kNone))
    return list_of(
        e, self, FromRight ? split_text_right(self.text(), limit) : split_text(self.text(), limit));
  std::string_view separator = text_argument(bound[0]);
  check(!separator.empty(), "empty separator");
  return list_of(e, self,
                 FromRight ? split_text_right(self.text(), separator, limit)
                           : split_text(self.text(), separator, limit));
}

Value splitlines(Evaluator& e, const Value& self, const Bound& bound) {
  return list_of(e, self, split_lines(self.text(), is_true(bound[0])));
}

template <bool FromRight>
Value partition(Evaluator& e, const Value& self, const Bound& bound) {
  std::string_view text = self.text(), separator = text_argument(bound[0]);
  check(!separator.empty(), "empty separator");
  size_t at = FromRight ? find_last_text(text, separator) : find_text(text, separator);
  Value found[] = {Value::string(text), Value::string(""), Value::string("")};
  if (at != text.npos) {
    found[0] = Value::string(text.substr(0, at));
    found[1] = Value::string(separator);
    found[2] = Value::string(text.substr(at + separator.size()));
  } else if (FromRight) {
    std::swap(found[0], found[2]);
  }
  return e.list(found, Sequence::Flavor::kTuple);
}

Value replace_in_text(Evaluator& e, const Value& self, const Bound& bound) {
  Value from = bound[0], to = bound[1];
  text_argument(from);
  text_argument(to);
  if (self.is_safe()) to = escape(to, e.arena());
  return like(e, self,
              replace_all(e, self.text(), from.text(), to.text(), int_argument(bound[2], -1)));
}

Value join_by_text(Evaluator& e, const Value& self, const Bound& bound) {
  if (!Cursor::can_walk(bound[0])) fail("can only join an iterable");
  std::string joined;
  size_t at = 0;
  Cursor cursor(bound[0]);
  for (Value item; cursor.next(item); ++at) {
    if (!item.is(Kind::kString))
      fail("sequence item {}: expected str instance, {} found", at, type_name(item));
    if (at > 0) joined += self.text();
    joined += self.is_safe() ? escape(item, e.arena()).text() : item.text();
    e.charge(1 + item.text().size() / 16);
  }
  return like(e, self, joined);
}

template <bool Prefix>
Value remove_affix(Evaluator&, const Value& self, const Bound& bound) {
  std::string_view text = self.text(), affix = text_argument(bound[0]);
  bool has = Prefix ? text.starts_with(affix) : text.ends_with(affix);
  if (has && Prefix) text.remove_prefix(affix.size());
  if (has && !Prefix) text.remove_suffix(affix.size());
  return Value::string(text, self.is_safe());
}

template <Justify Side>
Value justified(Evaluator& e, const Value& self, const Bound& bound) {
  std::string_view fill = bound[1].is_missing() ? " " : text_argument(bound[1]);
  check(count_code_points(fill) == 1, "The fill character must be exactly one character long");
  return like(e, self, justify(e, self.text(), int_argument(bound[0]), fill, Side));
}

Value zfill(Evaluator& e, const Value& self, const Bound& bound) {
  std::string_view text = self.text();
  bool has_sign = text.starts_with('-') || text.starts_with('+');
  int64_t width = int_argument(bound[0]) - (has_sign ? 1 : 0);
  std::string digits = justify(e, text.substr(has_sign ? 1 : 0), width, "0", Justify::kRight);
  return like(e, self, (has_sign ? std::string(text.substr(0, 1)) : "") + digits);
}

Value expandtabs(Evaluator& e, const Value& self, const Bound& bound) {
  auto size = static_cast<size_t>(std::clamp<int64_t>(int_argument(bound[0], 8), 0, 1000));
  std::string out;
  size_t column = 0;
  for (std::string_view text = self.text(); char c : text) {
    if (c == '\t') {
      size_t blanks = size == 0 ? 0 : size - column % size;
      out.append(blanks, ' ');
      column += blanks;
      e.charge(1);
      continue;
    }
    out += c;
    if (c == '\n' || c == '\r')
      column = 0;
    else if ((static_cast<unsigned char>(c) & 0xC0) != 0x80)
      ++column;
  }
  return like(e, self, out);
}

constexpr Builtin kMethods[] = {
    {.name = "capitalize", .run = changed_text<to_capitalized>},
    {.name = "casefold", .run = changed_text<to_lower>},
    {.name = "center",
     .run = justified<Justify::kCenter>,
     .required = 1,
     .parameters = {"width", "fillchar"}},
    {.name = "expandtabs", .run = expandtabs, .parameters = {"tabsize"}},
    {.name = "format", .run_all = brace_format},
    {.name = "join", .run = join_by_text, .required = 1, .parameters = {"iterable"}},
    {.name = "ljust",
     .run = justified<Justify::kLeft>,
     .required = 1,
     .parameters = {"width", "fillchar"}},
    {.name = "lower", .run = changed_text<to_lower>},
    {.name = "lstrip", .run = strip_method<true, false>, .parameters = {"chars"}},
    {.name = "partition", .run = partition<false>, .required = 1, .parameters = {"sep"}},
    {.name = "removeprefix", .run = remove_affix<true>, .required = 1, .parameters = {"prefix"}},
    {.name = "removesuffix", .run = remove_affix<false>, .required = 1, .parameters = {"suffix"}},
    {.name = "replace",
     .run = replace_in_text,
     .required = 2,
     .parameters = {"old", "new", "count"}},
    {.name = "rjust",
     .run = justified<Justify::kRight>,
     .required = 1,
     .parameters = {"width", "fillchar"}},
    {.name = "rpartition", .run = partition<true>, .required = 1, .parameters = {"sep"}},
    {.name = "rsplit", .run = split<true>, .parameters = {"sep", "maxsplit"}},
    {.name = "rstrip", .run = strip_method<false, true>, .parameters = {"chars"}},
    {.name = "split", .run = split<false>, .parameters = {"sep", "maxsplit"}},
    {.name = "splitlines", .run = splitlines, .parameters = {"keepends"}},
    {.name = "strip", .run = strip_method<true, true>, .parameters = {"chars"}},
    {.name = "swapcase", .run = changed_text<to_swapped_case>},
    {.name = "title", .run = changed_text<to_title>},
    {.name = "upper", .run = changed_text<to_upper>},
    {.name = "zfill", .run = zfill, .required = 1, .parameters = {"width"}},
};

}  // namespace

std::span<const Builtin> text_methods() { return kMethods; }

std::string replace_all(Evaluator& evaluator, std::string_view text, std::string_view from,
                        std::string_view to, int64_t limit) {
  std::string out;
  size_t done = 0;
  for (int64_t n = 0; limit < 0 || n < limit; ++n) {
    size_t at = find_text(text, from, done);
    if (from.empty()) at = done;
    if (at > text.size() || at == text.npos) break;
    out += text.substr(done, at - done);
    out += to;
    evaluator.charge(1 + to.size() / 16);
    done = at + from.size();
    if (!from.empty()) continue;
    // Between characters: the next one goes along.
    if (done == text.size()) return out;
    size_t next = done;
    next_code_point(text, next);
    out += text.substr(done, next - done);
    done = next;
  }
  return out.append(text.substr(done));
}

std::string justify(Evaluator& evaluator, std::string_view text, int64_t width,
                    std::string_view fill, Justify side) {
  auto length = static_cast<int64_t>(count_code_points(text));
  if (width <= length) return std::string(text);
  auto missing = static_cast<size_t>(width - length);
  evaluator.charge(missing);
  size_t left = side == Justify::kLeft ? 0 : missing;
  if (side == Justify::kCenter) left = missing / 2 + (missing & static_cast<size_t>(width) & 1);
  std::string out;
  for (size_t i = 0; i < left; ++i) out += fill;
  out += text;
  for (size_t i = left; i < missing; ++i) out += fill;
  return out;
}

Value stripped(const Value& text, const Value& characters, bool left, bool right) {
  std::string_view rest = text.text();
  if (characters.is_missing() || characters.is(Kind::kNone)) {
    if (left) rest = strip_left(rest);
    if (right) rest = strip_right(rest);
  } else {
    rest = strip_set(rest, text_argument(characters), left, right);
  }
  return Value::string(rest, text.is_safe());
}

}  // namespace ll::jinja
