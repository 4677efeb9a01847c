#pragma once
// Python's ways to cut texts.
#include <cstdint>
#include <string_view>
#include <vector>

namespace ll::jinja {

// str.splitlines: at every line boundary of Unicode.
std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends);
// str.split and str.rsplit; at runs of white space without a separator. `limit` below 0: no limit.
std::vector<std::string_view> split_text(std::string_view text, int64_t limit);
std::vector<std::string_view> split_text(std::string_view text, std::string_view separator,
                                         int64_t limit);
std::vector<std::string_view> split_text_right(std::string_view text, int64_t limit);
std::vector<std::string_view> split_text_right(std::string_view text, std::string_view separator,
                                               int64_t limit);

// The text without the characters of `set` at its left (and right) end.
std::string_view strip_set(std::string_view text, std::string_view set, bool left, bool right);

}  // namespace ll::jinja
