#include "model/text/jinja/values/operators.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "model/text/jinja/values/cursor.h"
#include "model/text/jinja/values/dict.h"
#include "model/text/jinja/values/loop_state.h"
#include "model/text/jinja/values/python_text.h"
#include "model/text/jinja/values/render_meter.h"
#include "model/text/jinja/values/text_find.h"

namespace ll::jinja {

namespace {

bool equal_sequences(const Sequence& a, const Sequence& b, int depth) {
  if (a.items.size() != b.items.size()) return false;
  if (a.flavor != b.flavor && !(a.is_view() && b.is_view())) return false;
  if (a.items.data() == b.items.data()) return true;  // what is the same is equal, nan in it, too
  RenderMeter::count(1 + a.items.size());
  for (size_t i = 0; i < a.items.size(); ++i)
    if (!equals(a.items[i], b.items[i], depth + 1)) return false;
  return true;
}

bool equal_dicts(const Dict& a, const Dict& b, int depth) {
  if (a.size() != b.size()) return false;
  if (&a == &b) return true;
  RenderMeter::count(1 + a.size());
  for (const Dict::Entry& entry : a.entries()) {
    const Value* other = b.find(entry.key);
    if (other == nullptr || !equals(entry.value, *other, depth + 1)) return false;
  }
  return true;
}

bool equal_numbers(const Value& a, const Value& b) {
  if (a.is_whole() && b.is_whole()) return a.as_int() == b.as_int();
  if (a.is(Kind::kBigInt) && b.is(Kind::kBigInt)) return a.text() == b.text();
  return a.as_double() == b.as_double();
}

[[noreturn]] void refuse_order(Operator op, const Value& a, const Value& b) {
  if (a.is(Kind::kUndefined)) raise_undefined(a);
  if (b.is(Kind::kUndefined)) raise_undefined(b);
  fail("'{}' not supported between instances of '{}' and '{}'", spelling(op), type_name(a),
       type_name(b));
}

int order(auto a, auto b) { return a < b ? -1 : b < a ? 1 : 0; }

}  // namespace

double Value::as_double() const {
  if (kind_ == Kind::kFloat) return real_;
  if (kind_ == Kind::kBigInt) return std::strtod(std::string(text()).c_str(), nullptr);
  return static_cast<double>(integer_);
}

std::string_view spelling(Operator op) {
  constexpr std::string_view kSpellings[] = {
      "+", "-", "*", "/", "//", "%", "**", "==", "!=", "<", "<=", ">", ">=", "in", "not in"};
  return kSpellings[static_cast<size_t>(op)];
}

bool is_true(const Value& value) {
  switch (value.kind()) {
    case Kind::kMissing:
    case Kind::kUndefined:
    case Kind::kNone:
      return false;
    case Kind::kBool:
    case Kind::kInt:
      return value.as_int() != 0;
    case Kind::kFloat:
      return value.as_double() != 0;
    case Kind::kString:
      return !value.text().empty();
    case Kind::kSequence:
      return !value.sequence().items.empty();
    case Kind::kDict:
      return value.dict().size() != 0;
    case Kind::kLoop:
      return value.loop().length() != 0;
    default:
      return true;
  }
}

bool equals(const Value& a, const Value& b, int depth) {
  check(depth < kMaxValueDepth, "a value is nested deeper than {} levels", kMaxValueDepth);
  if (a.is_number() && b.is_number()) return equal_numbers(a, b);
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::kUndefined:
    case Kind::kNone:
      return true;
    case Kind::kString:
      RenderMeter::count(std::min(a.text().size(), b.text().size()) / 64);
      return a.text() == b.text();
    case Kind::kSequence:
      return equal_sequences(a.sequence(), b.sequence(), depth);
    case Kind::kDict:
      return equal_dicts(a.dict(), b.dict(), depth);
    default:
      return a.address() == b.address();
  }
}

std::optional<int> compare(const Value& a, const Value& b, Operator op, int depth) {
  check(depth < kMaxValueDepth, "a value is nested deeper than {} levels", kMaxValueDepth);
  if (a.is_whole() && b.is_whole()) return order(a.as_int(), b.as_int());
  if (a.is_number() && b.is_number()) {
    double x = a.as_double(), y = b.as_double();
    if (std::isnan(x) || std::isnan(y)) return {};
    return order(x, y);
  }
  RenderMeter::count(1);
  if (a.is(Kind::kString) && b.is(Kind::kString)) {
    RenderMeter::count(std::min(a.text().size(), b.text().size()) / 64);
    return order(a.text(), b.text());
  }
  if (!a.is(Kind::kSequence) || !b.is(Kind::kSequence)) refuse_order(op, a, b);
  const Sequence &x = a.sequence(), &y = b.sequence();
  if (x.flavor != y.flavor || !(x.is_list() || x.is_tuple())) refuse_order(op, a, b);
  for (size_t i = 0; i < std::min(x.items.size(), y.items.size()); ++i)
    if (!equals(x.items[i], y.items[i], depth + 1))
      return compare(x.items[i], y.items[i], op, depth + 1);
  return order(x.items.size(), y.items.size());
}

bool contains(const Value& container, const Value& item) {
  if (container.is(Kind::kString)) {
    if (!item.is(Kind::kString))
      fail("'in <string>' requires string as left operand, not {}", type_name(item));
    return find_text(container.text(), item.text()) != std::string_view::npos;
  }
  if (container.is(Kind::kDict)) return container.dict().find(item) != nullptr;
  if (!Cursor::can_walk(container))
    fail("argument of type '{}' is not iterable", type_name(container));
  Cursor cursor(container);
  for (Value value; cursor.next(value);)
    if (equals(value, item)) return true;
  return false;
}

bool holds(Operator op, const Value& a, const Value& b) {
  switch (op) {
    case Operator::kEqual:
      return equals(a, b);
    case Operator::kNotEqual:
      return !equals(a, b);
    case Operator::kIn:
      return contains(b, a);
    case Operator::kNotIn:
      return !contains(b, a);
    case Operator::kLess:
      return compare(a, b, op).value_or(1) < 0;
    case Operator::kLessEqual:
      return compare(a, b, op).value_or(1) <= 0;
    case Operator::kGreater:
      return compare(a, b, op).value_or(-1) > 0;
    default:
      return compare(a, b, op).value_or(-1) >= 0;
  }
}

}  // namespace ll::jinja
