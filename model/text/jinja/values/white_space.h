#pragma once
// White space as Python's str has it.
#include <string_view>

namespace ll::jinja {

bool is_space(char32_t point);
std::string_view strip_left(std::string_view text);
std::string_view strip_right(std::string_view text);
inline std::string_view strip(std::string_view text) { return strip_left(strip_right(text)); }

}  // namespace ll::jinja
