// Matrix products with weights in panels. Bytes of weights decide up to about a dozen rows, where
// one pass over each panel serves all rows; above that bfloat16 goes to oneDNN when it is there.
// Float32 always takes the fixed summation order of simd.h.
#include <algorithm>
#include <vector>

#include "kernels/cpu/cpu_ops.h"
#include "kernels/cpu/onednn_matmul.h"
#include "kernels/cpu/panels.h"

namespace ll::cpu {
namespace {

constexpr int64_t kLibraryRows = 9;  // from here on the library's blocking wins
constexpr int64_t kGemmRows = 16;    // outputs of one call stay in the first cache
constexpr int64_t kRowBlock = 256;   // rows whose inputs stay in cache while panels stream by

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

void gemm(const float* x, int64_t ldx, const float* panel, int64_t k, int64_t rows, float* y) {
  simd().gemm_f32(x, ldx, panel, kPanelCols, k, rows, y, kPanelCols);
}
void gemm(const bf16* x, int64_t ldx, const bf16* panel, int64_t k, int64_t rows, float* y) {
  simd().gemm_bf16(x, ldx, panel, 2 * kPanelCols, k, rows, y, kPanelCols);
}

void store_row(float* out, const float* y, int64_t n) { std::copy(y, y + n, out); }
void store_row(bf16* out, const float* y, int64_t n) { simd().narrow(out, y, n); }

// One panel's outputs of one row: bias, epilogue, rounding.
template <class Out, class Bias>
void finish_row(const LinearArgs& a, int64_t row, int64_t first, int64_t count, float* y) {
  if (!a.bias.empty()) {
    const Bias* bias = a.bias.as<Bias>() + first;
    for (int64_t c = 0; c < count; ++c) y[c] += to_float(bias[c]);
  }
  Out* out = a.out.as<Out>();
  if (a.epilogue == Epilogue::kSiluAndMul) {
    float act[kPanelCols / 2];
    simd().silu_and_mul(act, y, count / 2);
    store_row(out + row * a.out.dim(1) + first / 2, act, count / 2);
  } else {
    store_row(out + row * a.out.dim(1) + first, y, count);
  }
}

template <class T, class Out>
void multiply(const LinearArgs& a, const T* x, int64_t ldx) {
  int64_t num_rows = a.x.dim(0),
          depth = dtype_of<T>() == DType::bf16 ? round_up(a.weight.cols, 2) : a.weight.cols;
  const T* panels = a.weight.data.as<T>();
  for (int64_t begin = 0; begin < num_rows; begin += kRowBlock) {
    int64_t end = std::min(num_rows, begin + kRowBlock);
#pragma omp parallel for schedule(static)
    for (int64_t p = 0; p < num_panels(a.weight.rows); ++p) {
      int64_t first = p * kPanelCols, count = std::min<int64_t>(kPanelCols, a.weight.rows - first);
      for (int64_t m = begin; m < end; m += kGemmRows) {
        alignas(64) float y[kGemmRows * kPanelCols];
        int64_t rows = std::min(kGemmRows, end - m);
        gemm(x + m * ldx, ldx, panels + p * panel_size<T>(a.weight.cols), depth, rows, y);
        for (int64_t r = 0; r < rows; ++r)
          finish_row<Out, T>(a, m + r, first, count, y + r * kPanelCols);
      }
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
  if (a.x.dim(0) < kLibraryRows) return false;
  if (a.epilogue == Epilogue::kNone) return onednn_matmul(a.out, a.x, a.weight, a.bias);
  static std::vector<bf16> wide;  // [T, rows] before the epilogue halves it
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

void linear(Stream, const LinearArgs& a) {
  ensure(a.x.dim(1) == a.weight.cols && a.out.dim(0) == a.x.dim(0), "linear: shapes differ");
  ensure(a.out.dim(1) == (a.epilogue == Epilogue::kSiluAndMul ? a.weight.rows / 2 : a.weight.rows),
         "linear: output width");
  if (a.out.empty()) return;
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

}  // namespace ll::cpu
