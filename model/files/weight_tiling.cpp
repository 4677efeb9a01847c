#include "model/files/weight_tiling.h"

namespace ll {

namespace {

// An axis that ranks share out: cut into up to `max_parts` equal parts, each a multiple of `unit`.
struct Cut {
  int64_t max_parts = 1, unit = 1;
};
struct Cuts {
  Cut rows, cols;
  bool cols_first = false;  // the axis that Y cuts goes first: x > 1 is rare
};

constexpr int64_t kUnit = 8;  // elements that a matrix product wants a part to be a multiple of

Cut cut_of(Axis axis, const ModelConfig& config) {
  switch (axis) {
    case Axis::kHidden:
      return {kMaxPartsX, kUnit};
    case Axis::kQueries:
    case Axis::kKeys:
      return {kMaxPartsY, config.head_dim};
    case Axis::kAttention:
    case Axis::kFfn:
      return {kMaxPartsY, kUnit};
    case Axis::kVocab:
      return {kMaxPartsVocab, 1};
    default:
      return {};
  }
}

Cuts cuts_of(const WeightInfo& weight, const ModelConfig& config) {
  if (weight.shape.rank() == 1) return {};
  return {.rows = cut_of(weight.rows, config),
          .cols = cut_of(weight.cols, config),
          .cols_first = weight.rows == Axis::kHidden};
}

void halve(int64_t& extent, const Cut& cut, const Tiling& tile, int64_t element_bytes) {
  for (int64_t parts = 2; parts <= cut.max_parts; parts *= 2) {
    bool can = extent % (2 * cut.unit) == 0;
    bool small = tile.rows * tile.cols * element_bytes < 2 * kMinTileBytes;
    if (!can || small) return;
    extent /= 2;
  }
}

}  // namespace

Tiling tiling_of(const WeightInfo& weight, const ModelConfig& config, DType dtype) {
  Tiling tile = {weight.shape[0], weight.shape.rank() > 1 ? weight.shape[1] : 1};
  auto bytes = static_cast<int64_t>(size_of(dtype));
  Cuts cuts = cuts_of(weight, config);
  if (cuts.cols_first) {
    halve(tile.cols, cuts.cols, tile, bytes);
    halve(tile.rows, cuts.rows, tile, bytes);
  } else {
    halve(tile.rows, cuts.rows, tile, bytes);
    halve(tile.cols, cuts.cols, tile, bytes);
  }
  // Too large still: the fewest equal bands of rows that are not.
  for (int64_t parts = 2; parts < tile.rows && weight.shape.rank() > 1; ++parts) {
    int64_t tile_bytes = tile.rows * tile.cols * bytes;
    if (tile_bytes <= kMaxTileBytes || tile_bytes < parts * kMinTileBytes) break;
    if (tile.rows % parts == 0 && tile_bytes / parts <= kMaxTileBytes) {
      tile.rows /= parts;
      break;
    }
  }
  return tile;
}

}  // namespace ll
