#include "model/text/jinja/values/text_find.h"

#include <cstdint>
#include <vector>

#include "model/text/jinja/values/render_meter.h"

namespace ll::jinja {

namespace {

constexpr size_t kShort = 16;  // up to this size the product is no more than so many times the sum

template <bool FromRight>
char at(std::string_view text, size_t i) {
  return text[FromRight ? text.size() - 1 - i : i];
}

// The longest shorter start of `wanted` that each of its starts ends with.
template <bool FromRight>
std::vector<uint32_t> borders_of(std::string_view wanted) {
  RenderMeter::count(wanted.size());
  std::vector<uint32_t> borders(wanted.size());
  for (size_t i = 1, length = 0; i < wanted.size(); ++i) {
    while (length > 0 && at<FromRight>(wanted, i) != at<FromRight>(wanted, length))
      length = borders[length - 1];
    length += at<FromRight>(wanted, i) == at<FromRight>(wanted, length);
    borders[i] = static_cast<uint32_t>(length);
  }
  return borders;
}

// Knuth, Morris and Pratt, "Fast pattern matching in strings" (1977).
template <bool FromRight>
size_t search(std::string_view text, std::string_view wanted) {
  if (wanted.size() > text.size()) return text.npos;
  std::vector<uint32_t> borders = borders_of<FromRight>(wanted);
  for (size_t i = 0, length = 0; i < text.size(); ++i) {
    while (length > 0 && at<FromRight>(text, i) != at<FromRight>(wanted, length))
      length = borders[length - 1];
    length += at<FromRight>(text, i) == at<FromRight>(wanted, length);
    if (length == wanted.size()) return FromRight ? text.size() - 1 - i : i + 1 - length;
  }
  return text.npos;
}

// A letter that is there all the time costs the most: some nanoseconds a byte.
size_t counted(size_t place, size_t bytes_looked_at) {
  RenderMeter::count(bytes_looked_at / 8);
  return place;
}

}  // namespace

size_t find_text(std::string_view text, std::string_view wanted, size_t from) {
  if (from > text.size()) return text.npos;
  std::string_view rest = text.substr(from);
  size_t place = wanted.size() <= kShort ? rest.find(wanted) : search<false>(rest, wanted);
  if (place == text.npos) return counted(place, rest.size());
  return counted(from + place, place);
}

size_t find_last_text(std::string_view text, std::string_view wanted) {
  size_t place = wanted.size() <= kShort ? text.rfind(wanted) : search<true>(text, wanted);
  return counted(place, place == text.npos ? text.size() : text.size() - place);
}

}  // namespace ll::jinja
