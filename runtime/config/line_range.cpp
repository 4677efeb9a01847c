#include "runtime/config/line_range.h"

#include <charconv>

#include "base/check.h"

namespace ll {

LinePart parse_line_part(const std::string& text) {
  LinePart part;
  const char *at = text.data(), *end = at + text.size();
  auto [slash, error] = std::from_chars(at, end, part.index);
  bool is_pair = error == std::errc() && slash != end && *slash == '/';
  if (is_pair) {
    auto [rest, bad] = std::from_chars(slash + 1, end, part.count);
    is_pair = bad == std::errc() && rest == end;
  }
  check(is_pair, "'{}' is not a part such as 3/8", text);
  check(part.count >= 1 && part.count <= kMaxParts, "{}: there may be 1 to {} parts", text,
        kMaxParts);
  check(part.index >= 1 && part.index <= part.count,
        "{}: parts are numbered from 1 to {}; with Slurm: --array=1-{}", text, part.count,
        part.count);
  return part;
}

std::string part_text(const LinePart& part) { return fmt::format("{}/{}", part.index, part.count); }

}  // namespace ll
