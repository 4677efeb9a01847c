#include "model/text/jinja/builtins/letter_case.h"

#include <utf8proc.h>

#include "base/utf8.h"

namespace ll::jinja {

namespace {

struct Special {
  char32_t point;
  std::string_view upper, title;
};
// Characters whose upper case is several (SpecialCasing.txt), but for Greek ones with iota.
constexpr Special kSpecial[] = {
    {0xDF, "SS", "Ss"},
    {0x149, "\u02BCN", "\u02BCN"},
    {0x1F0, "J\u030C", "J\u030C"},
    {0x587, "\u0535\u0552", "\u0535\u0582"},
    {0x1E96, "H\u0331", "H\u0331"},
    {0x1E97, "T\u0308", "T\u0308"},
    {0x1E98, "W\u030A", "W\u030A"},
    {0x1E99, "Y\u030A", "Y\u030A"},
    {0x1E9A, "A\u02BE", "A\u02BE"},
    {0xFB00, "FF", "Ff"},
    {0xFB01, "FI", "Fi"},
    {0xFB02, "FL", "Fl"},
    {0xFB03, "FFI", "Ffi"},
    {0xFB04, "FFL", "Ffl"},
    {0xFB05, "ST", "St"},
    {0xFB06, "ST", "St"},
};

const Special* special_of(char32_t point) {
  if (point < 0xDF) return nullptr;
  for (const Special& special : kSpecial)
    if (special.point == point) return &special;
  return nullptr;
}

utf8proc_int32_t code(char32_t point) { return static_cast<utf8proc_int32_t>(point); }

bool is_upper(char32_t point) { return utf8proc_category(code(point)) == UTF8PROC_CATEGORY_LU; }
bool is_lower(char32_t point) { return utf8proc_category(code(point)) == UTF8PROC_CATEGORY_LL; }
bool is_cased(char32_t point) {
  return is_upper(point) || is_lower(point) ||
         utf8proc_category(code(point)) == UTF8PROC_CATEGORY_LT;
}

void append_upper(std::string& out, char32_t point) {
  if (const Special* special = special_of(point))
    out += special->upper;
  else
    append_utf8(out, static_cast<char32_t>(utf8proc_toupper(code(point))));
}

void append_title(std::string& out, char32_t point) {
  if (const Special* special = special_of(point))
    out += special->title;
  else
    append_utf8(out, static_cast<char32_t>(utf8proc_totitle(code(point))));
}

bool is_between_letters_end(std::string_view text, size_t begin, size_t end) {
  size_t before = begin, after = end;
  bool follows_letter = begin > 0 && is_cased(previous_code_point(text, before));
  return follows_letter && (end == text.size() || !is_cased(next_code_point(text, after)));
}

// The lower case of the character from `begin` to `end` of the text: a sigma at a word's end is
// another letter.
void append_lower(std::string& out, char32_t point, std::string_view text, size_t begin,
                  size_t end) {
  if (point == 0x130)
    out += "i\u0307";
  else if (point == 0x3A3 && is_between_letters_end(text, begin, end))
    out += "\u03C2";
  else
    append_utf8(out, static_cast<char32_t>(utf8proc_tolower(code(point))));
}

// Calls each(point, begin, end) for the characters of a text.
template <class Each>
void for_each_character(std::string_view text, Each each) {
  for (size_t pos = 0; pos < text.size();) {
    size_t begin = pos;
    char32_t point = next_code_point(text, pos);
    each(point, begin, pos);
  }
}

}  // namespace

std::string to_upper(std::string_view text) {
  std::string out;
  for_each_character(text, [&](char32_t p, size_t, size_t) { append_upper(out, p); });
  return out;
}

std::string to_lower(std::string_view text) {
  std::string out;
  for_each_character(
      text, [&](char32_t p, size_t begin, size_t end) { append_lower(out, p, text, begin, end); });
  return out;
}

std::string to_capitalized(std::string_view text) {
  std::string out;
  for_each_character(text, [&](char32_t p, size_t begin, size_t end) {
    if (begin == 0)
      append_title(out, p);
    else
      append_lower(out, p, text, begin, end);
  });
  return out;
}

std::string to_title(std::string_view text) {
  std::string out;
  bool in_word = false;
  for_each_character(text, [&](char32_t p, size_t begin, size_t end) {
    if (in_word)
      append_lower(out, p, text, begin, end);
    else
      append_title(out, p);
    in_word = is_cased(p);
  });
  return out;
}

std::string to_swapped_case(std::string_view text) {
  std::string out;
  for_each_character(text, [&](char32_t p, size_t begin, size_t end) {
    if (is_upper(p))
      append_lower(out, p, text, begin, end);
    else
      append_upper(out, p);
  });
  return out;
}

bool is_letter(char32_t point) {
  utf8proc_category_t category = utf8proc_category(code(point));
  return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}

bool has_case(std::string_view text, bool upper) {
  bool found = false, other = false;
  for_each_character(text, [&](char32_t p, size_t, size_t) {
    if (!is_cased(p)) return;
    bool matches = upper ? is_upper(p) : is_lower(p);
    found |= matches;
    other |= !matches;
  });
  return found && !other;
}

}  // namespace ll::jinja
