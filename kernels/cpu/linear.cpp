// Matrix products with weights in panels. Bytes of weights decide up to about a dozen rows, where
// one pass over each panel serves all rows. Above that a part of a panel's depth stays in the first
// cache while many rows pass by; bfloat16 without AMX's tiles goes to oneDNN when it is there.
// Float32 always takes the fixed summation order of simd.h.
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/numbers.h"
#include "kernels/cpu/cpu_ops.h"
#include "kernels/cpu/onednn_matmul.h"
#include "kernels/cpu/panels.h"
#include "kernels/cpu/rows.h"

namespace ll::cpu {
namespace {

constexpr int64_t kFewRows = 16;      // up to here a panel is read once, in one go
constexpr int64_t kLibraryRows = 9;   // from here on the library's blocking wins where it is used
constexpr int64_t kRowBlock = 256;    // rows that pass by a panel
constexpr int64_t kDepthBlock = 224;  // of 64 columns: 28 KB of the first cache's 32 or 48
constexpr int64_t kPanelGroup = 4;    // panels that share a pass over an x beyond the second cache
constexpr int64_t kCachedBytes = int64_t{1} << 20;
// Rows of x that are a multiple of so many columns apart meet in few sets of the first cache: there
// the library, which copies them, is faster.
constexpr int64_t kSetCols = 1024;
constexpr int64_t kFinishRows = 32;  // whose sums stay in the first cache until they are stored

template <class T>
void pack(const T* natural, int64_t rows, int64_t cols, T* panels) {
#pragma omp parallel for schedule(static)
  for (int64_t p = 0; p < num_panels(rows); ++p) {
    T* panel = panels + p * panel_size<T>(cols);
    std::fill(panel, panel + panel_size<T>(cols), T{});
    int64_t count = std::min<int64_t>(kPanelCols, rows - p * kPanelCols);
    for (int64_t c = 0; c < count; ++c)
      for (int64_t k = 0; k < cols; ++k)
        panel[panel_offset<T>(k, c)] = natural[(p * kPanelCols + c) * cols + k];
  }
}

template <class T>
void unpack(const T* panels, int64_t rows, int64_t cols, T* natural) {
#pragma omp parallel for schedule(static)
  for (int64_t r = 0; r < rows; ++r) {
    const T* panel = panels + r / kPanelCols * panel_size<T>(cols);
    for (int64_t k = 0; k < cols; ++k)
      natural[r * cols + k] = panel[panel_offset<T>(k, r % kPanelCols)];
  }
}

// Outputs that one thread works on at a time: rows of x by panels of the weight.
struct Block {
  int64_t first_row, num_rows, first_panel, num_panels;
};

template <class T>
struct Operands {
  const T* x;
  int64_t ldx, depth;
  const T* panels;
  int64_t panel_size;
};

// Sums of one panel over depth [k, k + count).
void gemm(const Operands<float>& o, const Block& b, int64_t p, int64_t, int64_t, float* y) {
  simd().gemm_f32(o.x + b.first_row * o.ldx, o.ldx, o.panels + (b.first_panel + p) * o.panel_size,
                  kPanelCols, o.depth, b.num_rows, y, kPanelCols);
}
void gemm(const Operands<bf16>& o, const Block& b, int64_t p, int64_t k, int64_t count, float* y) {
  const bf16* panel = o.panels + (b.first_panel + p) * o.panel_size + k * kPanelCols;
  bool is_last = p + 1 == b.num_panels;
  const bf16* next = is_last ? panel + count * kPanelCols - p * o.panel_size : panel + o.panel_size;
  if (is_last && k + count == o.depth) next = panel + count * kPanelCols;
  simd().gemm_bf16({.x = o.x + b.first_row * o.ldx + k,
                    .ldx = o.ldx,
                    .panel = panel,
                    .stride = 2 * kPanelCols,
                    .depth = count,
                    .rows = b.num_rows,
                    .y = y,
                    .ldy = kPanelCols,
                    .add = k > 0,
                    .next = next});
}

void store_rows(float* out, int64_t ldo, const float* y, int64_t ldy, int64_t rows, int64_t n) {
  for (int64_t r = 0; r < rows; ++r) std::copy_n(y + r * ldy, n, out + r * ldo);
}
void store_rows(bf16* out, int64_t ldo, const float* y, int64_t ldy, int64_t rows, int64_t n) {
  simd().narrow_rows(out, ldo, y, ldy, rows, n);
}

// Bias, SiLU-and-mul and rounding of a panel's sums of some rows.
template <class Out, class Bias>
void finish_rows(const LinearArgs& a, int64_t row, int64_t rows, int64_t panel, float* y) {
  int64_t first = panel * kPanelCols, count = std::min<int64_t>(kPanelCols, a.weight.rows - first),
          width = kPanelCols;
  if (!a.bias.empty()) {
    float bias[kPanelCols];
    load_row(bias, a.bias.as<Bias>() + first, count);
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < count; ++c) y[r * kPanelCols + c] += bias[c];
  }
  if (a.ending.is_silu()) {
    first /= 2, count /= 2, width /= 2;
    simd().silu_and_mul(y, y, rows * width);
  }
  store_rows(a.out.as<Out>() + row * a.out.dim(1) + first, a.out.dim(1), y, width, rows, count);
}

template <class T, class Out>
void multiply_block(const LinearArgs& a, const Operands<T>& o, const Block& b,
                    std::vector<float>& sums) {
  int64_t step = dtype_of<T>() == DType::bf16 && b.num_rows > kFewRows ? kDepthBlock : o.depth;
  sums.resize(static_cast<size_t>(b.num_panels * b.num_rows * kPanelCols));
  for (int64_t k = 0; k < o.depth; k += step)
    for (int64_t p = 0; p < b.num_panels; ++p) {
      float* y = sums.data() + p * b.num_rows * kPanelCols;
      gemm(o, b, p, k, std::min(step, o.depth - k), y);
      if (k + step < o.depth) continue;
      for (int64_t r = 0; r < b.num_rows; r += kFinishRows)
        finish_rows<Out, T>(a, b.first_row + r, std::min(kFinishRows, b.num_rows - r),
                            b.first_panel + p, y + r * kPanelCols);
    }
}

// Each thread takes an equal run of panels, through one block of rows after the other.
template <class T, class Out>
void multiply(const LinearArgs& a, const T* x, int64_t ldx) {
  int64_t rows = a.x.dim(0), panels = num_panels(a.weight.rows),
          units = panels * ceil_div(rows, kRowBlock);
  Operands<T> o{x, ldx, dtype_of<T>() == DType::bf16 ? round_up(a.weight.cols, 2) : a.weight.cols,
                a.weight.data.as<T>(), panel_size<T>(a.weight.cols)};
  bool is_cached = std::min(rows, kRowBlock) * ldx * static_cast<int64_t>(sizeof(T)) < kCachedBytes;
  int64_t group = is_cached ? 1 : kPanelGroup;
#pragma omp parallel
  {
    std::vector<float> sums;
    int64_t thread = omp_get_thread_num(), threads = omp_get_num_threads(),
            end = units * (thread + 1) / threads;
    for (int64_t unit = units * thread / threads; unit < end;) {
      int64_t row = unit / panels * kRowBlock, panel = unit % panels,
              count = std::min({group, panels - panel, end - unit});
      multiply_block<T, Out>(a, o, {row, std::min(kRowBlock, rows - row), panel, count}, sums);
      unit += count;
    }
  }
}

// Rows of an odd number of bfloat16 inputs get a zero behind them: the kernels read pairs.
std::vector<bf16> pad_columns(const TensorView& x, int64_t width) {
  std::vector<bf16> padded(static_cast<size_t>(x.dim(0) * width));
  for (int64_t m = 0; m < x.dim(0); ++m)
    std::copy_n(x.as<bf16>() + m * x.dim(1), x.dim(1), padded.data() + m * width);
  return padded;
}

bool library_product(const LinearArgs& a) {
  bool has_own =
      simd().has_tiles && a.weight.cols % kPanelDepth == 0 && a.weight.cols % kSetCols != 0;
  if (a.x.dim(0) < kLibraryRows || has_own) return false;
  if (!a.ending.is_silu()) return onednn_matmul(a.out, a.x, a.weight, a.bias);
  static std::vector<bf16> wide;  // [T, rows] before SiLU-and-mul halves it
  wide.resize(static_cast<size_t>(a.x.dim(0) * a.weight.rows));
  TensorView both{wide.data(), DType::bf16, {a.x.dim(0), a.weight.rows}};
  if (!onednn_matmul(both, a.x, a.weight, a.bias)) return false;
#pragma omp parallel for schedule(static)
  for (int64_t m = 0; m < a.x.dim(0); ++m)
    simd().silu_and_mul_bf16(a.out.as<bf16>() + m * a.out.dim(1), wide.data() + m * a.weight.rows,
                             a.weight.rows / 2);
  return true;
}

}  // namespace

size_t packed_bytes(int64_t rows, int64_t cols, DType dtype) {
  int64_t panel = dtype == DType::bf16 ? panel_size<bf16>(cols) : panel_size<float>(cols);
  return static_cast<size_t>(num_panels(rows) * panel) * size_of(dtype);
}

Weight pack_weight(Stream, const Tensor& natural, Tensor& storage) {
  TensorView w = natural.view();
  int64_t rows = w.dim(0), cols = w.dim(1);
  auto bytes = static_cast<int64_t>(packed_bytes(rows, cols, w.dtype));
  storage = Tensor(cpu_device(), w.dtype, {bytes / static_cast<int64_t>(size_of(w.dtype))});
  if (w.dtype == DType::bf16)
    pack(w.as<bf16>(), rows, cols, storage.view().as<bf16>());
  else
    pack(w.as<float>(), rows, cols, storage.view().as<float>());
  return {storage.view(), rows, cols};
}

Tensor unpack_weight(Stream, const Weight& weight, const Tensor&) {
  Tensor natural(cpu_device(), weight.data.dtype, {weight.rows, weight.cols});
  if (weight.data.dtype == DType::bf16)
    unpack(weight.data.as<bf16>(), weight.rows, weight.cols, natural.view().as<bf16>());
  else
    unpack(weight.data.as<float>(), weight.rows, weight.cols, natural.view().as<float>());
  return natural;
}

namespace {

void multiply_any(const LinearArgs& a) {
  if (a.x.dtype == DType::f32) return multiply<float, float>(a, a.x.as<float>(), a.x.dim(1));
  if (library_product(a)) return;
  std::vector<bf16> padded;
  const bf16* x = a.x.as<bf16>();
  int64_t ldx = round_up(a.x.dim(1), 2);
  if (ldx != a.x.dim(1)) x = (padded = pad_columns(a.x, ldx)).data();
  if (a.out.dtype == DType::f32)
    multiply<bf16, float>(a, x, ldx);
  else
    multiply<bf16, bf16>(a, x, ldx);
}

template <class T>
void scale_rows(TensorView out, const TensorView& x, const RowSquares& squares) {
  int64_t n = x.dim(1);
  std::vector<float> row(static_cast<size_t>(n));
  for (int64_t r = 0; r < x.dim(0); ++r) {
    double mean = static_cast<double>(squares.sums[r * kSquaresStride]) /
                  (kSquaresUnit * static_cast<double>(n));
    auto scale = static_cast<float>(1 / std::sqrt(mean + squares.eps));
    load_row(row.data(), x.as<T>() + r * n, n);
    for (float& value : row) value *= scale;
    store_row(out.as<T>() + r * n, row.data(), n);
  }
}

// With x at its scale.
void linear_of_scaled(Stream stream, LinearArgs a) {
  Tensor scaled(cpu_device(), a.x.dtype, a.x.shape);
  if (a.x.dtype == DType::f32)
    scale_rows<float>(scaled, a.x, *a.x_squares);
  else
    scale_rows<bf16>(scaled, a.x, *a.x_squares);
  a.x = scaled, a.x_squares = nullptr;
  linear(stream, a);
}

}  // namespace

void linear(Stream stream, const LinearArgs& a) {
  ensure(a.x.dim(1) == a.weight.cols && a.out.dim(0) == a.x.dim(0), "linear: shapes differ");
  ensure(a.out.dim(1) == (a.ending.is_silu() ? a.weight.rows / 2 : a.weight.rows),
         "linear: output width");
  if (a.out.empty()) return;
  if (a.x_squares) return linear_of_scaled(stream, a);
  multiply_any(a);
  if (const RopeAndStoreArgs* rope = a.ending.rope()) rope_and_store_kv(stream, *rope);
  if (!a.ending.norm()) return;
  AddRmsNormArgs norm = *a.ending.norm();
  norm.delta = a.out;
  add_rms_norm(stream, norm);
}

}  // namespace ll::cpu
