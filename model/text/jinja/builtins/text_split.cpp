#include "model/text/jinja/builtins/text_split.h"

#include <algorithm>

#include "base/utf8.h"
#include "model/text/jinja/values/text_find.h"
#include "model/text/jinja/values/white_space.h"

namespace ll::jinja {

namespace {

bool ends_line(char32_t point) {
  return (point >= 0xA && point <= 0xD) || (point >= 0x1C && point <= 0x1E) || point == 0x85 ||
         point == 0x2028 || point == 0x2029;
}

// Where white space begins, or ends.
size_t next_space(std::string_view text) {
  size_t pos = 0;
  for (size_t next = 0; pos < text.size(); pos = next)
    if (is_space(next_code_point(text, next))) break;
  return pos;
}
size_t last_space(std::string_view text) {
  size_t end = text.size();
  for (size_t before = end; end > 0; end = before)
    if (is_space(previous_code_point(text, before))) break;
  return end;
}

bool has_character(std::string_view set, char32_t point) {
  for (size_t pos = 0; pos < set.size();)
    if (next_code_point(set, pos) == point) return true;
  return false;
}

}  // namespace

std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends) {
  std::vector<std::string_view> lines;
  size_t begin = 0;
  for (size_t pos = 0; pos < text.size();) {
    size_t end = pos;
    char32_t point = next_code_point(text, pos);
    if (!ends_line(point)) continue;
    if (point == '\r' && pos < text.size() && text[pos] == '\n') ++pos;
    lines.push_back(text.substr(begin, (keep_ends ? pos : end) - begin));
    begin = pos;
  }
  if (begin < text.size()) lines.push_back(text.substr(begin));
  return lines;
}

std::vector<std::string_view> split_text(std::string_view text, int64_t limit) {
  std::vector<std::string_view> parts;
  for (text = strip_left(text); !text.empty(); text = strip_left(text)) {
    if (limit >= 0 && static_cast<int64_t>(parts.size()) == limit) {
      parts.push_back(text);
      break;
    }
    size_t end = next_space(text);
    parts.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return parts;
}

std::vector<std::string_view> split_text(std::string_view text, std::string_view separator,
                                         int64_t limit) {
  std::vector<std::string_view> parts;
  while (limit < 0 || static_cast<int64_t>(parts.size()) < limit) {
    size_t end = find_text(text, separator);
    if (end == text.npos) break;
    parts.push_back(text.substr(0, end));
    text.remove_prefix(end + separator.size());
  }
  parts.push_back(text);
  return parts;
}

std::vector<std::string_view> split_text_right(std::string_view text, int64_t limit) {
  std::vector<std::string_view> parts;
  for (text = strip_right(text); !text.empty(); text = strip_right(text)) {
    if (limit >= 0 && static_cast<int64_t>(parts.size()) == limit) {
      parts.push_back(text);
      break;
    }
    size_t begin = last_space(text);
    parts.push_back(text.substr(begin));
    text = text.substr(0, begin);
  }
  std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<std::string_view> split_text_right(std::string_view text, std::string_view separator,
                                               int64_t limit) {
  std::vector<std::string_view> parts;
  while (limit < 0 || static_cast<int64_t>(parts.size()) < limit) {
    size_t begin = find_last_text(text, separator);
    if (begin == text.npos) break;
    parts.push_back(text.substr(begin + separator.size()));
    text = text.substr(0, begin);
  }
  parts.push_back(text);
  std::reverse(parts.begin(), parts.end());
  return parts;
}

std::string_view strip_set(std::string_view text, std::string_view set, bool left, bool right) {
  size_t begin = 0, end = text.size();
  for (size_t next = 0; left && begin < end; begin = next)
    if (!has_character(set, next_code_point(text, next))) break;
  for (size_t before = end; right && end > begin; end = before)
    if (!has_character(set, previous_code_point(text, before))) break;
  return text.substr(begin, end - begin);
}

}  // namespace ll::jinja
