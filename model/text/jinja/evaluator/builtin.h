#pragma once
// A filter, test, method or function of Jinja or Python: a row of a table.
#include <array>
#include <span>
#include <string_view>

#include "model/text/jinja/syntax/syntax.h"
#include "model/text/jinja/values/value.h"

namespace ll::jinja {

class Evaluator;

struct NamedValue {
  std::string_view name;
  Value value;
};

// What a call passes.
struct Arguments {
  std::span<const Value> positional;
  std::span<const NamedValue> named;
};

constexpr size_t kMaxParameters = 5;
// By parameter; kMissing where nothing was given.
using Bound = std::array<Value, kMaxParameters>;

struct Builtin {
  std::string_view name;
  // One of both: with its parameters bound, or with all that a call passes. Neither for a method
  // that would change a value, which a template may not.
  Value (*run)(Evaluator&, const Value& self, const Bound&) = nullptr;
  Value (*run_all)(Evaluator&, const Value& self, const Arguments&) = nullptr;
  size_t required = 0;
  std::array<std::string_view, kMaxParameters> parameters = {};

  bool is_unsafe() const { return run == nullptr && run_all == nullptr; }
};

// A method of a value, not called yet.
struct Method {
  Value self;
  const Builtin* builtin;
};

// The value's method, of those of one name; nullptr when it has none.
const Builtin* method_of(const Value& value, const MethodsOfName& methods);

// Throws Error where the arguments do not fit the row's parameters.
Bound bind(const Builtin& builtin, const Arguments& arguments);

// Arguments as builtins want them; they throw Error that names the type.
std::string_view text_argument(const Value& value);
int64_t int_argument(const Value& value);
// Numbers, or the fallback for one that is missing.
int64_t int_argument(const Value& value, int64_t fallback);

}  // namespace ll::jinja
