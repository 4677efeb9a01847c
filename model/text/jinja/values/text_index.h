#pragma once
// Texts by code points, as Python counts them.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace ll::jinja {

size_t count_code_points(std::string_view text);
// Byte offset of a code point; text.size() for the one behind the last.
size_t byte_offset(std::string_view text, size_t code_point);

// What a slice of a sequence of `length` picks [Python's slice.indices]: `count` indices from
// `first` on, `step` apart.
struct SliceRange {
  int64_t first = 0, step = 1;
  size_t count = 0;
};
SliceRange slice_range(std::optional<int64_t> start, std::optional<int64_t> stop, int64_t step,
                       size_t length);

}  // namespace ll::jinja
