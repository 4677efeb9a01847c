#pragma once
#include <string_view>

namespace ll::jinja {

class Arena;

// The value of a string literal, given without its quotes: Python's escapes (unicode_escape).
// `line` is for errors.
std::string_view unescape(std::string_view literal, int line, Arena& arena);

}  // namespace ll::jinja
