#include "model/text/jinja/values/white_space.h"

#include "base/utf8.h"

namespace ll::jinja {

bool is_space(char32_t point) {
  if (point < 0x80) return (point >= 0x9 && point <= 0xD) || (point >= 0x1C && point <= 0x20);
  return point == 0x85 || point == 0xA0 || point == 0x1680 ||
         (point >= 0x2000 && point <= 0x200A) || point == 0x2028 || point == 0x2029 ||
         point == 0x202F || point == 0x205F || point == 0x3000;
}

std::string_view strip_left(std::string_view text) {
  size_t pos = 0;
  for (size_t next = 0; pos < text.size(); pos = next)
    if (!is_space(next_code_point(text, next))) break;
  return text.substr(pos);
}

std::string_view strip_right(std::string_view text) {
  size_t end = text.size();
  for (size_t before = end; end > 0; end = before)
    if (!is_space(previous_code_point(text, before))) break;
  return text.substr(0, end);
}

}  // namespace ll::jinja
