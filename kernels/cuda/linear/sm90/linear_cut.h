#pragma once
// What the hosts' sides of linear_tile.cu, linear_block.cu and linear_gate.cu share.
#include <span>
#include <vector>

#include "base/numbers.h"
#include "kernels/cuda/linear/linear_kernels.h"
#include "kernels/cuda/ptx/tensor_map.h"
#include "kernels/ops.h"

namespace ll::cuda {

inline int parts_of(int64_t n, int64_t size) { return static_cast<int>(ceil_div(n, size)); }

// Boxes [box_rows, 64] of a row-major matrix [rows, cols].
inline CUtensorMap slice_map(const void* data, int64_t rows, int64_t cols, int box_rows) {
  auto width = static_cast<uint64_t>(cols);
  return tensor_map({.data = data,
                     .dims = {width, static_cast<uint64_t>(rows)},
                     .strides = {width},
                     .box = {64, static_cast<uint32_t>(box_rows)}});
}

// Whole vectors of 16 bytes, as the copy engine and the end of a product (of heads, RoPE) want
// them.
inline bool has_whole_vectors(const LinearArgs& a) {
  auto is_vector = [](const void* p) { return is_aligned(p, 16); };
  return a.weight.cols % 8 == 0 && a.weight.rows % 8 == 0 && is_vector(a.x.data) &&
         (!a.ending.rope() || a.ending.rope()->kv.k.dim(3) % 8 == 0) && is_vector(a.out.data) &&
         is_vector(a.weight.data.data) && is_vector(a.bias.data);
}

// Kernels, each with a twin that is early: make(shape, is_early).
class LinearKernels {
 public:
  template <class Shapes, class Make>
  LinearKernels(const Shapes& shapes, Make&& make) {
    for (const auto& s : shapes) early_.push_back(make(s, true));
    for (const auto& s : shapes) {
      all_.push_back(make(s, false));
      all_.back().early = &early_[all_.size() - 1];
    }
  }
  std::span<const LinearKernel> all() const { return all_; }

 private:
  std::vector<LinearKernel> early_, all_;
};

}  // namespace ll::cuda
