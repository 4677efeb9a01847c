// Operators that make values: numbers, texts, lists.
#include <cmath>

#include "base/check.h"
#include "model/text/jinja/values/arena.h"
#include "model/text/jinja/values/operators.h"
#include "model/text/jinja/values/percent_format.h"
#include "model/text/jinja/values/python_text.h"

namespace ll::jinja {

namespace {

[[noreturn]] void refuse(Operator op, const Value& a, const Value& b) {
  if (a.is(Kind::kUndefined)) raise_undefined(a);
  if (b.is(Kind::kUndefined)) raise_undefined(b);
  std::string_view left = type_name(a), right = type_name(b);
  if (op == Operator::kAdd && a.is(Kind::kString))
    fail("can only concatenate str (not \"{}\") to str", right);
  if (op == Operator::kAdd && a.is(Kind::kSequence) && !a.sequence().is_view())
    fail("can only concatenate {0} (not \"{1}\") to {0}", left, right);
  fail("unsupported operand type(s) for {}: '{}' and '{}'",
       op == Operator::kPower ? "** or pow()" : spelling(op), left, right);
}

[[noreturn]] void refuse_large() { fail("an integer of more than 64 bits cannot be computed"); }

void check_small(const Value& a, const Value& b) {
  if (a.is(Kind::kBigInt) || b.is(Kind::kBigInt)) refuse_large();
}

int64_t floor_quotient(int64_t a, int64_t b) {
  if (a == INT64_MIN && b == -1) refuse_large();
  return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

int64_t whole_power(int64_t base, int64_t exponent) {
  int64_t result = 1;
  if (base >= -1 && base <= 1) exponent = exponent % 2 == 0 ? std::min<int64_t>(exponent, 2) : 1;
  for (; exponent > 0; --exponent)
    if (__builtin_mul_overflow(result, base, &result)) refuse_large();
  return result;
}

Value compute_whole(Operator op, int64_t a, int64_t b) {
  int64_t result = 0;
  bool overflows = false;
  bool divides = op == Operator::kDivide || op == Operator::kFloorDivide || op == Operator::kModulo;
  check(b != 0 || !divides, "{}",
        op == Operator::kDivide   ? "division by zero"
        : op == Operator::kModulo ? "integer modulo by zero"
                                  : "integer division or modulo by zero");
  switch (op) {
    case Operator::kAdd:
      overflows = __builtin_add_overflow(a, b, &result);
      break;
    case Operator::kSubtract:
      overflows = __builtin_sub_overflow(a, b, &result);
      break;
    case Operator::kMultiply:
      overflows = __builtin_mul_overflow(a, b, &result);
      break;
    case Operator::kFloorDivide:
      result = floor_quotient(a, b);
      break;
    case Operator::kModulo:
      result = b == -1 ? 0 : a - floor_quotient(a, b) * b;
      break;
    case Operator::kPower:
      if (b < 0) return Value::real(std::pow(static_cast<double>(a), static_cast<double>(b)));
      result = whole_power(a, b);
      break;
    default:
      return Value::real(static_cast<double>(a) / static_cast<double>(b));
  }
  if (overflows) refuse_large();
  return Value::integer(result);
}

double real_modulo(double a, double b) {
  double rest = std::fmod(a, b);
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

Value compute_real(Operator op, double a, double b) {
  bool divides = op == Operator::kDivide || op == Operator::kFloorDivide || op == Operator::kModulo;
  check(b != 0 || !divides, "{}",
        op == Operator::kDivide ? "float division by zero" : "float floor division by zero");
  switch (op) {
    case Operator::kAdd:
      return Value::real(a + b);
    case Operator::kSubtract:
      return Value::real(a - b);
    case Operator::kMultiply:
      return Value::real(a * b);
    case Operator::kDivide:
      return Value::real(a / b);
    case Operator::kFloorDivide:
      return Value::real(std::floor(a / b));
    case Operator::kModulo:
      return Value::real(real_modulo(a, b));
    default:
      return Value::real(std::pow(a, b));
  }
}

Value repeat(const Value& value, int64_t times, Arena& arena) {
  auto n = static_cast<size_t>(std::max<int64_t>(times, 0));
  if (value.is(Kind::kString)) {
    size_t size = value.text().size();
    if (size == 0 || n == 0) return Value::string("");
    check(n <= SIZE_MAX / size, "it needs more memory than a template may take");
    char* text = arena.array<char>(n * size);
    for (size_t i = 0; i < n; ++i) std::copy_n(value.text().data(), size, text + i * size);
    return Value::string({text, n * size}, value.is_safe());
  }
  std::span<const Value> items = value.sequence().items;
  check(items.empty() || n <= SIZE_MAX / items.size(),
        "it needs more memory than a template may take");
  Value* joined = arena.array<Value>(items.empty() ? 0 : n * items.size());
  for (size_t i = 0; i < n && !items.empty(); ++i)
    std::copy(items.begin(), items.end(), joined + i * items.size());
  std::span<const Value> all(joined, items.empty() ? 0 : n * items.size());
  return Value::of(arena.make<Sequence>(all, value.sequence().flavor));
}

bool is_plain_sequence(const Value& value) {
  return value.is(Kind::kSequence) && (value.sequence().is_list() || value.sequence().is_tuple());
}

bool is_repeatable(const Value& value) {
  return value.is(Kind::kString) || is_plain_sequence(value);
}

Value join_sequences(const Sequence& a, const Sequence& b, Arena& arena) {
  size_t size = a.items.size() + b.items.size();
  Value* items = arena.grown(a.items.data(), a.items.size(), b.items.size());
  std::copy(b.items.begin(), b.items.end(), items + a.items.size());
  return Value::of(arena.make<Sequence>(std::span<const Value>(items, size), a.flavor));
}

Value add_texts(const Value& a, const Value& b, Arena& arena) {
  bool safe = a.is_safe() || b.is_safe();
  if (!safe) return concatenate(a.text(), b.text(), false, arena);
  return concatenate(escape(a, arena).text(), escape(b, arena).text(), true, arena);
}

}  // namespace

Value concatenate(std::string_view a, std::string_view b, bool safe, Arena& arena) {
  if (a.empty() || b.empty()) return Value::string(a.empty() ? b : a, safe);
  char* text = arena.grown(a.data(), a.size(), b.size());
  std::copy(b.begin(), b.end(), text + a.size());
  return Value::string({text, a.size() + b.size()}, safe);
}

Value escape(const Value& value, Arena& arena) {
  if (value.is(Kind::kString) && value.is_safe()) return value;
  std::string out;
  for (char c : to_str(value)) switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '\'':
        out += "&#39;";
        break;
      case '"':
        out += "&#34;";
        break;
      default:
        out += c;
    }
  return Value::string(arena.copy(out), true);
}

Value compute(Operator op, const Value& a, const Value& b, Arena& arena) {
  if (a.is_number() && b.is_number()) {
    check_small(a, b);
    if (a.is_whole() && b.is_whole()) return compute_whole(op, a.as_int(), b.as_int());
    return compute_real(op, a.as_double(), b.as_double());
  }
  if (op == Operator::kAdd) {
    if (a.is(Kind::kString) && b.is(Kind::kString)) return add_texts(a, b, arena);
    if (is_plain_sequence(a) && b.is(Kind::kSequence) && a.sequence().flavor == b.sequence().flavor)
      return join_sequences(a.sequence(), b.sequence(), arena);
  }
  if (op == Operator::kMultiply && is_repeatable(a) && b.is_whole())
    return repeat(a, b.as_int(), arena);
  if (op == Operator::kMultiply && is_repeatable(b) && a.is_whole())
    return repeat(b, a.as_int(), arena);
  if (op == Operator::kModulo && a.is(Kind::kString)) return percent_format(a, b, arena);
  refuse(op, a, b);
}

Value positive(const Value& value) {
  if (value.is(Kind::kUndefined)) raise_undefined(value);
  if (!value.is_number()) fail("bad operand type for unary +: '{}'", type_name(value));
  return value.is(Kind::kBool) ? Value::integer(value.as_int()) : value;
}

Value negate(const Value& value) {
  if (value.is(Kind::kUndefined)) raise_undefined(value);
  if (!value.is_number()) fail("bad operand type for unary -: '{}'", type_name(value));
  check_small(value, value);
  if (!value.is_whole()) return Value::real(-value.as_double());
  if (value.as_int() == INT64_MIN) refuse_large();
  return Value::integer(-value.as_int());
}

}  // namespace ll::jinja
