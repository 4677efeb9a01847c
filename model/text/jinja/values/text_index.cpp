#include "model/text/jinja/values/text_index.h"

#include <algorithm>

namespace ll::jinja {

namespace {

bool begins_character(char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }

int64_t clamp_index(int64_t index, int64_t length, int64_t low, int64_t high) {
  if (index < 0) index += length;
  return std::clamp(index, low, high);
}

}  // namespace

size_t count_code_points(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), begins_character));
}

size_t byte_offset(std::string_view text, size_t code_point) {
  size_t pos = 0;
  for (; pos < text.size(); ++pos)
    if (begins_character(text[pos]) && code_point-- == 0) break;
  return pos;
}

SliceRange slice_range(std::optional<int64_t> start, std::optional<int64_t> stop, int64_t step,
                       size_t length) {
  auto n = static_cast<int64_t>(length);
  bool forward = step > 0;
  int64_t low = forward ? 0 : -1, high = forward ? n : n - 1;
  int64_t first = start ? clamp_index(*start, n, low, high) : forward ? low : high;
  int64_t end = stop ? clamp_index(*stop, n, low, high) : forward ? high : low;
  int64_t room = forward ? end - first : first - end;
  uint64_t stride =
      forward ? static_cast<uint64_t>(step) : uint64_t{0} - static_cast<uint64_t>(step);
  if (room <= 0) return {first, step, 0};
  return {first, step, static_cast<size_t>((static_cast<uint64_t>(room) - 1) / stride + 1)};
}

}  // namespace ll::jinja
