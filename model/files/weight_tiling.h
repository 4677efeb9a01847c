#pragma once
// How a weight file cuts a matrix into tiles, each contiguous in the file. A rank of a grid [x, Y]
// holds one of x parts of the hidden axis and one of Y parts of the heads or of the FFN; tiles are
// cut where those parts are.
#include "model/config/layer_table.h"

namespace ll {

struct Tiling {
  int64_t rows = 0, cols = 0;  // of a tile; they divide the matrix's
  bool operator==(const Tiling&) const = default;
};

// Up to these many parts of an axis are whole tiles, where the tensor is large enough to be cut so
// often and the axis can be cut there; other grids read parts of tiles.
constexpr int64_t kMaxPartsX = 16, kMaxPartsY = 16, kMaxPartsVocab = 64;
constexpr int64_t kMinTileBytes = 256 << 10, kMaxTileBytes = 4 << 20;

Tiling tiling_of(const WeightInfo& weight, const ModelConfig& config, DType dtype);

}  // namespace ll
