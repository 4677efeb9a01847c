#pragma once
// Filters, tests, methods and functions: rows of tables.
#include <array>
#include <span>
#include <string_view>

#include "model/text/jinja/syntax.h"
#include "model/text/jinja/value.h"

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

// nullptr when there is none of that name.
const Builtin* find_filter(std::string_view name);
const Builtin* find_test(std::string_view name);
const Builtin* find_function(std::string_view name);
MethodsOfName methods_of(std::string_view name);
const Builtin* find_loop_method(std::string_view name);
const Builtin* method_of(const Value& value, const MethodsOfName& methods);

// The tables.
std::span<const Builtin> sequence_filters();
std::span<const Builtin> selecting_filters();
std::span<const Builtin> text_filters();
std::span<const Builtin> tests();
std::span<const Builtin> functions();
std::span<const Builtin> loop_methods();
std::span<const Builtin> text_methods();
std::span<const Builtin> text_search_methods();
std::span<const Builtin> list_methods();
std::span<const Builtin> dict_methods();

// Throws Error where the arguments do not fit the row's parameters.
Bound bind(const Builtin& builtin, const Arguments& arguments);

// Arguments as builtins want them; they throw Error that names the type.
std::string_view text_argument(const Value& value);
int64_t int_argument(const Value& value);
// Numbers, or the fallback for one that is missing.
int64_t int_argument(const Value& value, int64_t fallback);

}  // namespace ll::jinja
