#pragma once
// How the copy engine finds boxes of a tensor.
#include <cuda.h>

#include <array>
#include <cstdint>

namespace ll::cuda {

// A bfloat16 tensor of up to four axes, innermost first, cut into boxes whose innermost extent is
// 64 (one line of the 128-byte swizzle), or, not swizzled, any multiple of 8. Unused axes stay
// zero. The innermost axis is contiguous; strides[i] is that of axis i + 1, in elements, and may
// overlap or skip as it likes; a multiple of 8, as data is of 16 bytes.
struct TensorBoxes {
  const void* data = nullptr;
  std::array<uint64_t, 4> dims = {};
  std::array<uint64_t, 3> strides = {};
  std::array<uint32_t, 4> box = {};
  bool is_swizzled = true;

  bool operator==(const TensorBoxes&) const = default;
};

// Encoded on first use and kept; later calls look it up. Boxes may stick out: what lies outside of
// the tensor reads as zero.
CUtensorMap tensor_map(const TensorBoxes& boxes);

}  // namespace ll::cuda
