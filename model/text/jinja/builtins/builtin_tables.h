#pragma once
// The filters, tests, methods and functions that templates know.
#include <span>
#include <string_view>

#include "model/text/jinja/evaluator/builtin.h"
#include "model/text/jinja/syntax/syntax.h"

namespace ll::jinja {

// All of them, for the parser and the evaluator.
const Builtins& all_builtins();

const Builtin* find_filter(std::string_view name);
const Builtin* find_test(std::string_view name);
MethodsOfName methods_of(std::string_view name);

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

}  // namespace ll::jinja
