#include "model/text/pre_tokenizer_unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include "base/check.h"
#include "base/utf8.h"

namespace ll {

namespace {

struct Range {
  char32_t first, last;
};

// Characters that normalisation gained after Unicode 9 (up to Unicode 18), with neighbours that
// never took part; U+11A7 is none, but utf8proc 2.8 drops it after a Hangul syllable.
constexpr Range kUnknownToHuggingFace[] = {
    {0x5C8, 0x5C9},     {0x7FD, 0x7FD},     {0x897, 0x8D3},     {0x9FE, 0x9FE},
    {0xC3C, 0xC3C},     {0xD3B, 0xD3C},     {0xEBA, 0xEBA},     {0x11A7, 0x11A7},
    {0x1715, 0x1715},   {0x1ABF, 0x1AF0},   {0x1DF6, 0x1DFA},   {0xA82C, 0xA82C},
    {0x105C9, 0x105E4}, {0x10D24, 0x10F85}, {0x11070, 0x11070}, {0x1133B, 0x1133B},
    {0x11382, 0x113D0}, {0x1145E, 0x1145E}, {0x11839, 0x11A99}, {0x11D42, 0x1612F},
    {0x16D63, 0x16FF1}, {0x1D127, 0x1D128}, {0x1D250, 0x1D281}, {0x1E08F, 0x1E6F5},
};

bool is_in(char32_t point, std::span<const Range> ranges) {
  auto after = std::upper_bound(ranges.begin(), ranges.end(), point,
                                [](char32_t p, const Range& r) { return p < r.first; });
  return after != ranges.begin() && point <= std::prev(after)->last;
}

bool is_mark(char32_t point) {
  utf8proc_category_t category = utf8proc_category(static_cast<utf8proc_int32_t>(point));
  return category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_MC ||
         category == UTF8PROC_CATEGORY_ME;
}

// Canonical decomposition, appended to `points`.
void decompose(char32_t point, std::vector<utf8proc_int32_t>& points) {
  std::array<utf8proc_int32_t, 8> parts;  // Unicode's longest has 4
  int last_class = 0;
  auto n = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(point), parts.data(), parts.size(),
                                   UTF8PROC_DECOMPOSE, &last_class);
  ensure(n >= 0 && n <= static_cast<utf8proc_ssize_t>(parts.size()), "utf8proc: decomposition");
  points.insert(points.end(), parts.begin(), parts.begin() + n);
}

// A sort by runs: utf8proc's own takes quadratic time on a long run of marks.
void sort_marks(std::vector<utf8proc_int32_t>& points) {
  auto combining_class = [](utf8proc_int32_t p) {
    return utf8proc_get_property(p)->combining_class;
  };
  for (auto begin = points.begin(); begin != points.end();) {
    if (combining_class(*begin) == 0) {
      ++begin;
      continue;
    }
    const auto end =
        std::find_if(begin, points.end(), [&](auto p) { return combining_class(p) == 0; });
    std::stable_sort(begin, end,
                     [&](auto a, auto b) { return combining_class(a) < combining_class(b); });
    begin = end;
  }
}

void compose(std::vector<utf8proc_int32_t>& points) {
  const auto n =
      utf8proc_normalize_utf32(points.data(), static_cast<utf8proc_ssize_t>(points.size()),
                               static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  ensure(n >= 0, "utf8proc: composition");
  points.resize(static_cast<size_t>(n));
}

// Whether the form starts anew at this character: it stands for itself and joins nothing before it.
bool is_boundary(char32_t point) {
  if (point < 0x300 || is_in(point, kUnknownToHuggingFace)) return true;
  if (is_mark(point) || (point >= 0x1160 && point <= 0x11FF)) return false;
  if (point >= 0xAC00 && point <= 0xD7A3) return true;
  std::vector<utf8proc_int32_t> points;
  decompose(point, points);
  if (points.size() == 1) return points[0] == static_cast<utf8proc_int32_t>(point);
  sort_marks(points);
  compose(points);
  return points.size() == 1 && points[0] == static_cast<utf8proc_int32_t>(point);
}

void append_nfc(std::string& out, std::string_view text, std::vector<utf8proc_int32_t>& points) {
  points.clear();
  for (size_t pos = 0; pos < text.size();) decompose(next_code_point(text, pos), points);
  sort_marks(points);
  compose(points);
  for (utf8proc_int32_t point : points) append_utf8(out, static_cast<char32_t>(point));
}

}  // namespace

std::string_view normalize_nfc(std::string_view text, std::string& buffer) {
  buffer.clear();
  std::vector<utf8proc_int32_t> points;
  size_t copied = 0;
  size_t base = 0;  // where the last boundary character begins, or ends when nothing joins it
  for (size_t pos = 0; pos < text.size();) {
    if (static_cast<unsigned char>(text[pos]) < 0x80) {
      base = pos++;
      continue;
    }
    size_t end = pos;
    char32_t point = next_code_point(text, end);
    if (is_boundary(point)) {
      base = is_in(point, kUnknownToHuggingFace) ? end : pos;
      pos = end;
      continue;
    }
    for (size_t next = end; next < text.size(); end = next)
      if (is_boundary(next_code_point(text, next))) break;
    buffer.append(text, copied, base - copied);
    append_nfc(buffer, text.substr(base, end - base), points);
    pos = base = copied = end;
  }
  if (copied == 0) return text;
  buffer.append(text, copied);
  return buffer;
}

bool is_white_space(char32_t point) {
  constexpr Range kWhiteSpace[] = {
      {0x9, 0xD},       {0x20, 0x20},     {0x85, 0x85},     {0xA0, 0xA0},     {0x1680, 0x1680},
      {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000}};
  return is_in(point, kWhiteSpace);
}

bool is_word_character(char32_t point) {
  // Zero-width joiners and the letters among the symbols (Other_Alphabetic).
  constexpr Range kMoreWord[] = {{0x200C, 0x200D},
                                 {0x24B6, 0x24E9},
                                 {0x1F130, 0x1F149},
                                 {0x1F150, 0x1F169},
                                 {0x1F170, 0x1F189}};
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(point))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
      return true;
    default:
      return is_mark(point) || is_in(point, kMoreWord);
  }
}

}  // namespace ll
