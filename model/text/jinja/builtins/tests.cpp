// Tests: what stands behind "is".
#include <cmath>

#include "base/check.h"
#include "base/utf8.h"
#include "model/text/jinja/builtins/builtin_tables.h"
#include "model/text/jinja/builtins/letter_case.h"
#include "model/text/jinja/evaluator/evaluator.h"
#include "model/text/jinja/values/cursor.h"
#include "model/text/jinja/values/operators.h"
#include "model/text/jinja/values/python_text.h"

namespace ll::jinja {

namespace {

template <bool (*Holds)(const Value&)>
Value answer(Evaluator&, const Value& self, const Bound&) {
  return Value::boolean(Holds(self));
}

template <Kind kind>
bool is_kind(const Value& v) {
  return v.is(kind);
}

template <Operator op>
Value compared(Evaluator&, const Value& self, const Bound& bound) {
  return Value::boolean(holds(op, self, bound[0]));
}

bool is_defined(const Value& v) { return !v.is(Kind::kUndefined); }
bool is_integer(const Value& v) { return v.is(Kind::kInt) || v.is(Kind::kBigInt); }
bool is_number(const Value& v) { return v.is_number(); }
bool is_true_itself(const Value& v) { return v.is(Kind::kBool) && v.as_bool(); }
bool is_false_itself(const Value& v) { return v.is(Kind::kBool) && !v.as_bool(); }
bool is_escaped(const Value& v) { return v.is(Kind::kString) && v.is_safe(); }
bool is_iterable(const Value& v) { return Cursor::can_walk(v); }
bool is_sequence(const Value& v) {
  if (v.is(Kind::kSequence)) return !v.sequence().is_view();
  return v.is(Kind::kUndefined) || v.is(Kind::kString) || v.is(Kind::kDict);
}
bool is_callable(const Value& v) {
  return v.is(Kind::kFunction) || v.is(Kind::kMethod) || v.is(Kind::kMacro) || v.is(Kind::kLoop) ||
         v.is(Kind::kUndefined);
}
bool is_lower(const Value& v) { return has_case(to_str(v), false); }
bool is_upper(const Value& v) { return has_case(to_str(v), true); }
bool is_filter(const Value& v) { return v.is(Kind::kString) && find_filter(v.text()) != nullptr; }
bool is_test(const Value& v) { return v.is(Kind::kString) && find_test(v.text()) != nullptr; }

Value remainder_is(Evaluator& e, const Value& self, const Value& by, int64_t wanted) {
  Value rest = compute(Operator::kModulo, self, by, e.arena());
  return Value::boolean(equals(rest, Value::integer(wanted)));
}
Value is_odd(Evaluator& e, const Value& self, const Bound&) {
  return remainder_is(e, self, Value::integer(2), 1);
}
Value is_even(Evaluator& e, const Value& self, const Bound&) {
  return remainder_is(e, self, Value::integer(2), 0);
}
Value is_divisible_by(Evaluator& e, const Value& self, const Bound& bound) {
  return remainder_is(e, self, bound[0], 0);
}

// The same object; of numbers and texts: of one type and equal.
Value is_same_as(Evaluator&, const Value& self, const Bound& bound) {
  const Value& other = bound[0];
  if (self.kind() != other.kind()) return Value::boolean(false);
  bool plain = self.is_number() || self.is(Kind::kString) || self.is(Kind::kNone);
  return Value::boolean(plain ? equals(self, other) : self.address() == other.address());
}

constexpr Builtin kTests[] = {
    {.name = "boolean", .run = answer<is_kind<Kind::kBool>>},
    {.name = "callable", .run = answer<is_callable>},
    {.name = "defined", .run = answer<is_defined>},
    {.name = "divisibleby", .run = is_divisible_by, .required = 1, .parameters = {"num"}},
    {.name = "eq", .run = compared<Operator::kEqual>, .required = 1, .parameters = {"b"}},
    {.name = "equalto", .run = compared<Operator::kEqual>, .required = 1, .parameters = {"b"}},
    {.name = "==", .run = compared<Operator::kEqual>, .required = 1, .parameters = {"b"}},
    {.name = "escaped", .run = answer<is_escaped>},
    {.name = "even", .run = is_even},
    {.name = "false", .run = answer<is_false_itself>},
    {.name = "filter", .run = answer<is_filter>},
    {.name = "float", .run = answer<is_kind<Kind::kFloat>>},
    {.name = "ge", .run = compared<Operator::kGreaterEqual>, .required = 1, .parameters = {"b"}},
    {.name = ">=", .run = compared<Operator::kGreaterEqual>, .required = 1, .parameters = {"b"}},
    {.name = "greaterthan",
     .run = compared<Operator::kGreater>,
     .required = 1,
     .parameters = {"b"}},
    {.name = "gt", .run = compared<Operator::kGreater>, .required = 1, .parameters = {"b"}},
    {.name = ">", .run = compared<Operator::kGreater>, .required = 1, .parameters = {"b"}},
    {.name = "in", .run = compared<Operator::kIn>, .required = 1, .parameters = {"seq"}},
    {.name = "integer", .run = answer<is_integer>},
    {.name = "iterable", .run = answer<is_iterable>},
    {.name = "le", .run = compared<Operator::kLessEqual>, .required = 1, .parameters = {"b"}},
    {.name = "<=", .run = compared<Operator::kLessEqual>, .required = 1, .parameters = {"b"}},
    {.name = "lessthan", .run = compared<Operator::kLess>, .required = 1, .parameters = {"b"}},
    {.name = "lower", .run = answer<is_lower>},
    {.name = "lt", .run = compared<Operator::kLess>, .required = 1, .parameters = {"b"}},
    {.name = "<", .run = compared<Operator::kLess>, .required = 1, .parameters = {"b"}},
    {.name = "mapping", .run = answer<is_kind<Kind::kDict>>},
    {.name = "ne", .run = compared<Operator::kNotEqual>, .required = 1, .parameters = {"b"}},
    {.name = "!=", .run = compared<Operator::kNotEqual>, .required = 1, .parameters = {"b"}},
    {.name = "none", .run = answer<is_kind<Kind::kNone>>},
    {.name = "number", .run = answer<is_number>},
    {.name = "odd", .run = is_odd},
    {.name = "sameas", .run = is_same_as, .required = 1, .parameters = {"other"}},
    {.name = "sequence", .run = answer<is_sequence>},
    {.name = "string", .run = answer<is_kind<Kind::kString>>},
    {.name = "test", .run = answer<is_test>},
    {.name = "true", .run = answer<is_true_itself>},
    {.name = "undefined", .run = answer<is_kind<Kind::kUndefined>>},
    {.name = "upper", .run = answer<is_upper>},
};

}  // namespace

std::span<const Builtin> tests() { return kTests; }

}  // namespace ll::jinja
