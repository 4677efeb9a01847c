#pragma once
// The CPU's layout of a weight W [N, K]: panels of 64 outputs, see simd.h.
#include <cstdint>

#include "base/numbers.h"
#include "kernels/cpu/simd/simd.h"
#include "kernels/ops.h"

namespace ll::cpu {

inline int64_t num_panels(int64_t rows) { return ceil_div(rows, kPanelCols); }

// Elements of one panel.
template <class T>
int64_t panel_size(int64_t cols);
template <>
inline int64_t panel_size<float>(int64_t cols) {
  return cols * kPanelCols;
}
template <>
inline int64_t panel_size<bf16>(int64_t cols) {
  return round_up(cols, kPanelDepth) * kPanelCols;
}

// Where element (output `col` of the panel, input k) lies in its panel.
template <class T>
int64_t panel_offset(int64_t k, int64_t col);
template <>
inline int64_t panel_offset<float>(int64_t k, int64_t col) {
  return k * kPanelCols + col;
}
template <>
inline int64_t panel_offset<bf16>(int64_t k, int64_t col) {
  return (k / 2 * kPanelCols + col) * 2 + k % 2;
}

}  // namespace ll::cpu
