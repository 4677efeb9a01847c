#pragma once
// Which part of an extent, and of a matrix, a rank holds. Values only: no rank, no I/O.
#include <cstdint>

namespace ll {

struct Range {
  int64_t begin = 0, size = 0;

  int64_t end() const { return begin + size; }
  bool contains(int64_t i) const { return i >= begin && i < end(); }
  bool operator==(const Range&) const = default;
};

// Part `index` of `parts` of [0, extent), cut at multiples of `unit` (the last part takes what is
// left over); parts differ by one unit at most, the larger ones first. Parts may be empty when
// there are fewer units than parts.
Range split(int64_t extent, int64_t parts, int64_t index, int64_t unit = 1);

// A part of a matrix [rows, cols] (or of a vector: cols is [0, 1)).
struct ShardSpec {
  Range rows, cols;
  bool operator==(const ShardSpec&) const = default;
};

}  // namespace ll
