#pragma once
// Upper, lower and title case of texts as Python's str has them.
#include <string>
#include <string_view>

namespace ll::jinja {

std::string to_upper(std::string_view text);
std::string to_lower(std::string_view text);
// The first character in title case, the others in lower case.
std::string to_capitalized(std::string_view text);
// str.title(): the same for every run of letters.
std::string to_title(std::string_view text);
std::string to_swapped_case(std::string_view text);

bool is_letter(char32_t point);
// Whether there are letters that have a case, and all of them are in upper (or in lower) case.
bool has_case(std::string_view text, bool upper);

}  // namespace ll::jinja
