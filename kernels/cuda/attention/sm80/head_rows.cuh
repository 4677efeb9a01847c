#pragma once
// Rows of one head in shared memory: keys, values or queries.
//
// Chunk c (16 bytes) of row r is stored as chunk c ^ r % 8: the eight rows of a matrix that
// ldmatrix reads, and the chunks of a row that cp.async writes, then lie in different banks. As a
// tile begins at a multiple of kRowAlignment bytes, stepping by an even number of chunks is one XOR
// of the address, and by 8 rows one addition that fits the instruction's offset.
#include <cuda_runtime.h>

#include <cstdint>

namespace ll::cuda::sm80 {

constexpr int kRowAlignment = 256;

template <int kDim>
struct HeadRows {
  static constexpr int kChunks = kDim / 8, kRowBytes = 2 * kDim;
  static_assert(kChunks >= 8 && kRowBytes <= kRowAlignment);

  static __device__ uint32_t offset(int row, int chunk) {
    return static_cast<uint32_t>(row * kRowBytes + (chunk ^ row % 8) * 16);
  }

  // A lane's part of the addresses of 16 x 16 blocks as four matrices. "Rows first": number 1 is
  // below number 0 and 2 beside it: A of row-major operands, and B of transposed ones. "Columns
  // first": 1 beside 0, 2 below: the other two.
  static __device__ uint32_t rows_first() {
    int lane = threadIdx.x % 32;
    return offset(lane % 16, lane / 16);
  }
  static __device__ uint32_t columns_first() {
    int lane = threadIdx.x % 32;
    return offset(lane / 16 * 8 + lane % 8, lane / 8 % 2);
  }
  // `rows` (a power of two, or a multiple of 8) rows on from a row whose number has no such bits.
  static __device__ uint32_t rows_on(uint32_t address, int rows) {
    return (address ^ static_cast<uint32_t>(rows % 8 * 16)) +
           static_cast<uint32_t>(rows * kRowBytes);
  }
  // Block (i, j): rows from 16 i on, elements from 16 j on.
  static __device__ uint32_t block(uint32_t lane_address, int i, int j) {
    return (lane_address ^ static_cast<uint32_t>(32 * j)) +
           static_cast<uint32_t>(16 * i * kRowBytes);
  }
};

}  // namespace ll::cuda::sm80
