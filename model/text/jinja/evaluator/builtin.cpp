#include "model/text/jinja/evaluator/builtin.h"

#include "base/check.h"
#include "model/text/jinja/values/python_text.h"

namespace ll::jinja {

namespace {

size_t num_parameters(const Builtin& builtin) {
  size_t n = 0;
  while (n < kMaxParameters && !builtin.parameters[n].empty()) ++n;
  return n;
}

}  // namespace

const Builtin* method_of(const Value& value, const MethodsOfName& methods) {
  if (value.is(Kind::kDict)) return methods.of_dict;
  if (value.is(Kind::kString)) return methods.of_text;
  if (!value.is(Kind::kSequence)) return nullptr;
  const Sequence& sequence = value.sequence();
  if (sequence.is_list()) return methods.of_list;
  return sequence.is_view() ? nullptr : methods.of_tuple;
}

Bound bind(const Builtin& builtin, const Arguments& arguments) {
  Bound bound;
  size_t num = num_parameters(builtin);
  check(arguments.positional.size() <= num, "{}() takes at most {} argument(s), {} were given",
        builtin.name, num, arguments.positional.size());
  std::copy(arguments.positional.begin(), arguments.positional.end(), bound.begin());
  for (const NamedValue& named : arguments.named) {
    size_t i = 0;
    while (i < num && builtin.parameters[i] != named.name) ++i;
    check(i < num, "{}() got an unexpected keyword argument '{}'", builtin.name, named.name);
    check(bound[i].is_missing(), "{}() got multiple values for argument '{}'", builtin.name,
          named.name);
    bound[i] = named.value;
  }
  for (size_t i = 0; i < builtin.required; ++i)
    check(!bound[i].is_missing(), "{}() missing its argument '{}'", builtin.name,
          builtin.parameters[i]);
  return bound;
}

std::string_view text_argument(const Value& value) {
  if (value.is(Kind::kUndefined)) raise_undefined(value);
  if (!value.is(Kind::kString)) fail("expected str, got {}", type_name(value));
  return value.text();
}

int64_t int_argument(const Value& value) {
  if (value.is(Kind::kUndefined)) raise_undefined(value);
  if (!value.is_whole()) fail("'{}' object cannot be interpreted as an integer", type_name(value));
  return value.as_int();
}

int64_t int_argument(const Value& value, int64_t fallback) {
  return value.is_missing() ? fallback : int_argument(value);
}

}  // namespace ll::jinja
