#pragma once
// Python's operators.
#include <optional>

#include "model/text/jinja/values/value.h"

namespace ll::jinja {

class Arena;

enum class Operator : uint8_t {
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kFloorDivide,
  kModulo,
  kPower,
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kIn,
  kNotIn,
};
// "+", "not in".
std::string_view spelling(Operator op);

bool is_true(const Value& value);
bool equals(const Value& a, const Value& b, int depth = 0);
// Negative, zero or positive, as a comes before, with or after b. Throws Error, which speaks of
// `op`, where Python has no order; nothing where a number is not one.
std::optional<int> compare(const Value& a, const Value& b, Operator op, int depth = 0);
bool contains(const Value& container, const Value& item);
bool holds(Operator op, const Value& a, const Value& b);  // of the comparing operators

// What the computing operators give.
Value compute(Operator op, const Value& a, const Value& b, Arena& arena);
Value negate(const Value& value);
Value positive(const Value& value);

Value concatenate(std::string_view a, std::string_view b, bool safe, Arena& arena);
// HTML's special characters as entities, unless the text is safe.
Value escape(const Value& value, Arena& arena);

}  // namespace ll::jinja
