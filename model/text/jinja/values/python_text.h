#pragma once
// Values as Python prints them.
#include <string>
#include <string_view>

#include "model/text/jinja/values/value.h"

namespace ll::jinja {

// Nesting of values that is followed; deeper ones throw Error.
constexpr int kMaxValueDepth = 500;

// "str", "NoneType", "dict_items".
std::string_view type_name(const Value& value);
// "dict object"; "None".
std::string type_of_object(const Value& value);

// str(value), and nothing for an undefined one.
void append_str(std::string& out, const Value& value);
std::string to_str(const Value& value);
// repr(value).
void append_repr(std::string& out, const Value& value, int depth = 0);
std::string to_repr(const Value& value);
// repr of a text: in single quotes unless it has one and no double one.
void append_repr(std::string& out, std::string_view text);

// "'x' is undefined" and the like.
std::string undefined_message(const Value& value);
// Throws Error with that message.
[[noreturn]] void raise_undefined(const Value& value);

}  // namespace ll::jinja
