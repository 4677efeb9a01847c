#pragma once
// Untrusted text inside an error message: one line, no control characters, not too long.
#include <string>
#include <string_view>

namespace ll {

// Bytes outside printable ASCII become \xNN; text past `limit` bytes becomes "...".
std::string printable(std::string_view text, size_t limit = 120);

}  // namespace ll
