#pragma once
// How the copy engine finds a tile of a matrix.
#include <cuda.h>

#include <cstdint>

namespace ll::cuda {

// Boxes [box_rows, 64] of a row-major bfloat16 matrix [rows, cols] under the 128-byte swizzle; outside of it lies zero.
// data: a multiple of 16 bytes; cols: of 8.
CUtensorMap tile_map(const void* data, int64_t rows, int64_t cols, int box_rows);

}  // namespace ll::cuda
