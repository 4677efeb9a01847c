#pragma once
// UTF-8: check, walk, write, and repair of broken bytes.
#include <cstddef>
#include <string>
#include <string_view>

namespace ll {

// What stands at the front of some bytes: a whole character, the beginning of one that ends with
// the bytes, or an ill-formed sequence (its maximal subpart, Unicode 15 section 3.9, so one U+FFFD
// each).
struct Utf8Front {
  enum class Kind { kCharacter, kCut, kBroken };
  Kind kind;
  size_t size;     // bytes, at least 1
  char32_t point;  // the code point of a character
};
Utf8Front utf8_front(std::string_view bytes);  // bytes is not empty

// Offset of the first byte that is not valid UTF-8, npos when all is.
size_t find_invalid_utf8(std::string_view bytes);

// The code point at pos of valid UTF-8; moves pos behind it.
char32_t next_code_point(std::string_view text, size_t& pos);
// The code point that ends before pos > 0; moves pos to its first byte.
char32_t previous_code_point(std::string_view text, size_t& pos);

void append_utf8(std::string& out, char32_t point);

// Appends bytes to out with U+FFFD for every ill-formed sequence, as Python's errors="replace" and
// Rust's from_utf8_lossy do. Returns how many bytes it used: all but a character cut off at the
// end, which becomes U+FFFD too when `last`.
size_t append_repaired(std::string& out, std::string_view bytes, bool last);

}  // namespace ll
