// Filters of lists, dicts and numbers.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "base/check.h"
#include "model/text/jinja/builtins/attribute_path.h"
#include "model/text/jinja/builtins/builtin_tables.h"
#include "model/text/jinja/builtins/json_writer.h"
#include "model/text/jinja/builtins/letter_case.h"
#include "model/text/jinja/evaluator/evaluator.h"
#include "model/text/jinja/values/cursor.h"
#include "model/text/jinja/values/operators.h"
#include "model/text/jinja/values/python_text.h"
#include "model/text/jinja/values/white_space.h"

namespace ll::jinja {

namespace {

Value first(Evaluator& e, const Value& self, const Bound&) {
  Value item;
  Cursor cursor(self);
  return cursor.next(item) ? item : e.undefined("No first item, sequence was empty.");
}

Value last(Evaluator& e, const Value& self, const Bound&) {
  bool is_reversible = self.is(Kind::kString) || self.is(Kind::kSequence) || self.is(Kind::kDict) ||
                       self.is(Kind::kUndefined);
  if (!is_reversible) fail("'{}' object is not reversible", type_name(self));
  std::span<const Value> items = items_of(self, e.arena());
  return items.empty() ? e.undefined("No last item, sequence was empty.") : items.back();
}

Value length(Evaluator&, const Value& self, const Bound&) {
  size_t length = 0;
  if (!length_of(self, length)) fail("object of type '{}' has no len()", type_name(self));
  return Value::integer(static_cast<int64_t>(length));
}

Value list(Evaluator& e, const Value& self, const Bound&) {
  return e.list(items_of(self, e.arena()));
}

Value fallback(Evaluator&, const Value& self, const Bound& bound) {
  bool absent = self.is(Kind::kUndefined) || (is_true(bound[1]) && !is_true(self));
  if (!absent) return self;
  return bound[0].is_missing() ? Value::string("") : bound[0];
}

// Items in the order of keys, texts without regard to case unless asked.
struct Keyed {
  Value key, item;
};
void sort_by_key(std::vector<Keyed>& keyed, bool descending) {
  auto before = [](const Keyed& a, const Keyed& b) {
    return compare(a.key, b.key, Operator::kLess).value_or(1) < 0;
  };
  if (!descending) return std::stable_sort(keyed.begin(), keyed.end(), before);
  std::stable_sort(keyed.begin(), keyed.end(),
                   [&](const Keyed& a, const Keyed& b) { return before(b, a); });
}

Value ignoring_case(Evaluator& e, const Value& key, bool case_sensitive) {
  return !case_sensitive && key.is(Kind::kString) ? e.text(to_lower(key.text())) : key;
}

std::vector<Keyed> keyed_items(Evaluator& e, const Value& items, const Value& path,
                               bool case_sensitive) {
  AttributePath attribute(e, path);
  std::vector<Keyed> keyed;
  for (const Value& item : items_of(items, e.arena()))
    keyed.push_back({ignoring_case(e, attribute.of(item), case_sensitive), item});
  return keyed;
}

Value items_list(Evaluator& e, const std::vector<Keyed>& keyed) {
  std::vector<Value> items;
  for (const Keyed& k : keyed) items.push_back(k.item);
  return e.list(items);
}

Value sort(Evaluator& e, const Value& self, const Bound& bound) {
  std::vector<Keyed> keyed = keyed_items(e, self, bound[2], is_true(bound[1]));
  sort_by_key(keyed, is_true(bound[0]));
  return items_list(e, keyed);
}

Value dictsort(Evaluator& e, const Value& self, const Bound& bound) {
  if (!self.is(Kind::kDict)) fail("dictsort takes a dict, not {}", type_name(self));
  bool by_value = bound[1].is(Kind::kString) && bound[1].text() == "value";
  std::vector<Keyed> keyed;
  for (const Dict::Entry& entry : self.dict().entries()) {
    Value pair[] = {entry.key, entry.value};
    keyed.push_back({ignoring_case(e, pair[by_value], is_true(bound[0])),
                     e.list(pair, Sequence::Flavor::kTuple)});
  }
  sort_by_key(keyed, is_true(bound[2]));
  return items_list(e, keyed);
}

Value groupby(Evaluator& e, const Value& self, const Bound& bound) {
  std::vector<Keyed> keyed = keyed_items(e, self, bound[0], is_true(bound[2]));
  sort_by_key(keyed, false);
  AttributePath attribute(e, bound[0]);
  std::vector<Value> groups;
  for (size_t begin = 0, end = 0; begin < keyed.size(); begin = end) {
    std::vector<Value> members;
    for (; end < keyed.size() && equals(keyed[begin].key, keyed[end].key); ++end)
      members.push_back(keyed[end].item);
    Value group[] = {attribute.of(members[0]), e.list(members)};
    groups.push_back(e.list(group, Sequence::Flavor::kTuple));
  }
  return e.list(groups);
}

template <bool Largest>
Value extreme(Evaluator& e, const Value& self, const Bound& bound) {
  std::vector<Keyed> keyed = keyed_items(e, self, bound[1], is_true(bound[0]));
  if (keyed.empty()) return e.undefined("No aggregated item, sequence was empty.");
  const Keyed* best = &keyed[0];
  Operator op = Largest ? Operator::kGreater : Operator::kLess;
  for (const Keyed& k : keyed)
    if (holds(op, k.key, best->key)) best = &k;
  return best->item;
}

Value sum(Evaluator& e, const Value& self, const Bound& bound) {
  AttributePath attribute(e, bound[0]);
  Value total = bound[1].is_missing() ? Value::integer(0) : bound[1];
  Cursor cursor(self);
  for (Value item; cursor.next(item);)
    total = compute(Operator::kAdd, total, attribute.of(item), e.arena());
  return total;
}

Value join(Evaluator& e, const Value& self, const Bound& bound) {
  AttributePath attribute(e, bound[1]);
  std::string between = to_str(bound[0]), joined;
  bool is_first = true;
  Cursor cursor(self);
  for (Value item; cursor.next(item);) {
    if (!is_first) joined += between;
    is_first = false;
    size_t before = joined.size();
    append_str(joined, attribute.of(item));
    e.charge(1 + (joined.size() - before) / 16);
  }
  return e.text(joined);
}

Value batch(Evaluator& e, const Value& self, const Bound& bound) {
  int64_t size = int_argument(bound[0]);
  check(size > 0, "batch takes a number above 0");
  std::vector<Value> batches, row;
  for (const Value& item : items_of(self, e.arena())) {
    if (static_cast<int64_t>(row.size()) == size) {
      batches.push_back(e.list(row));
      row.clear();
    }
    row.push_back(item);
  }
  bool fills = !bound[1].is_missing() && !bound[1].is(Kind::kNone);
  e.charge(fills ? static_cast<size_t>(size) : 0);
  while (fills && !row.empty() && static_cast<int64_t>(row.size()) < size) row.push_back(bound[1]);
  if (!row.empty()) batches.push_back(e.list(row));
  return e.list(batches);
}

Value attr(Evaluator& e, const Value& self, const Bound& bound) {
  if (self.is(Kind::kDict) && method_of(self, methods_of(text_argument(bound[0]))) == nullptr)
    return e.attribute(Value::none(), bound[0].text());
  return e.attribute(self, text_argument(bound[0]));
}

Value absolute(Evaluator&, const Value& self, const Bound&) {
  if (!self.is_number()) fail("bad operand type for abs(): '{}'", type_name(self));
  return compare(self, Value::integer(0), Operator::kLess).value_or(0) < 0 ? negate(self)
                                                                           : positive(self);
}

std::optional<double> parse_float(std::string_view text) {
  std::string_view plain = strip(text);
  if (plain.starts_with('+')) plain.remove_prefix(1);
  double value = 0;
  auto [end, error] = std::from_chars(plain.data(), plain.data() + plain.size(), value);
  if (plain.empty() || error != std::errc() || end != plain.data() + plain.size()) return {};
  return value;
}

Value to_float(Evaluator&, const Value& self, const Bound& bound) {
  if (self.is_number()) return Value::real(self.as_double());
  if (self.is(Kind::kString))
    if (std::optional<double> value = parse_float(self.text())) return Value::real(*value);
  return bound[0].is_missing() ? Value::real(0) : bound[0];
}

Value to_int(Evaluator&, const Value& self, const Bound& bound) {
  Value otherwise = bound[0].is_missing() ? Value::integer(0) : bound[0];
  if (self.is(Kind::kBigInt)) return self;
  if (self.is_whole()) return Value::integer(self.as_int());
  std::optional<double> value;
  if (self.is(Kind::kFloat)) value = self.as_double();
  if (self.is(Kind::kString)) {
    std::string_view text = strip(self.text());
    if (text.starts_with('+')) text.remove_prefix(1);
    int64_t whole = 0;
    auto base = static_cast<int>(std::clamp<int64_t>(int_argument(bound[1], 10), 2, 36));
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), whole, base);
    if (!text.empty() && error == std::errc() && end == text.data() + text.size())
      return Value::integer(whole);
    value = parse_float(text);
  }
  if (!value || !(std::abs(*value) < 9.2e18)) return otherwise;
  return Value::integer(static_cast<int64_t>(*value));
}

Value round(Evaluator&, const Value& self, const Bound& bound) {
  if (!self.is_number()) fail("type {} doesn't define __round__ method", type_name(self));
  int64_t digits = int_argument(bound[0], 0);
  check(std::abs(digits) <= 300, "round takes a precision from -300 to 300");
  std::string_view method = bound[1].is_missing() ? "common" : text_argument(bound[1]);
  check(method == "common" || method == "ceil" || method == "floor",
        "method must be common, ceil or floor");
  double scale = std::pow(10.0, static_cast<double>(digits));
  if (method == "ceil") return Value::real(std::ceil(self.as_double() * scale) / scale);
  if (method == "floor") return Value::real(std::floor(self.as_double() * scale) / scale);
  if (self.is_whole() && digits >= 0) return Value::integer(self.as_int());
  if (digits < 0) {
    double rounded = std::nearbyint(self.as_double() * scale) / scale;
    return self.is_whole() ? Value::integer(static_cast<int64_t>(rounded)) : Value::real(rounded);
  }
  // The nearest decimal, as printf and Python find it.
  return Value::real(
      std::strtod(fmt::format("{:.{}f}", self.as_double(), digits).c_str(), nullptr));
}

constexpr Builtin kSequenceFilters[] = {
    {.name = "abs", .run = absolute},
    {.name = "attr", .run = attr, .required = 1, .parameters = {"name"}},
    {.name = "batch", .run = batch, .required = 1, .parameters = {"linecount", "fill_with"}},
    {.name = "count", .run = length},
    {.name = "d", .run = fallback, .parameters = {"default_value", "boolean"}},
    {.name = "default", .run = fallback, .parameters = {"default_value", "boolean"}},
    {.name = "dictsort", .run = dictsort, .parameters = {"case_sensitive", "by", "reverse"}},
    {.name = "first", .run = first},
    {.name = "float", .run = to_float, .parameters = {"default"}},
    {.name = "groupby",
     .run = groupby,
     .required = 1,
     .parameters = {"attribute", "default", "case_sensitive"}},
    {.name = "int", .run = to_int, .parameters = {"default", "base"}},
    {.name = "join", .run = join, .parameters = {"d", "attribute"}},
    {.name = "last", .run = last},
    {.name = "length", .run = length},
    {.name = "list", .run = list},
    {.name = "max", .run = extreme<true>, .parameters = {"case_sensitive", "attribute"}},
    {.name = "min", .run = extreme<false>, .parameters = {"case_sensitive", "attribute"}},
    {.name = "round", .run = round, .parameters = {"precision", "method"}},
    {.name = "sort", .run = sort, .parameters = {"reverse", "case_sensitive", "attribute"}},
    {.name = "sum", .run = sum, .parameters = {"attribute", "start"}},
    {.name = "tojson",
     .run = tojson,
     .parameters = {"ensure_ascii", "indent", "separators", "sort_keys"}},
};

}  // namespace

std::span<const Builtin> sequence_filters() { return kSequenceFilters; }

}  // namespace ll::jinja
