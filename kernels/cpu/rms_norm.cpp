#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/cpu/cpu_ops.h"
#include "kernels/cpu/rows.h"

namespace ll::cpu {
namespace {

void add_row(float* to, const float* x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] += x[i];
}
void add_row(float* to, const bf16* x, int64_t n) { simd().axpy_bf16(to, x, 1.0f, n); }

// The residual is rounded to its dtype before it is normalised: what the next layer adds to is what
// this layer saw.
template <class T>
void norm_row(const AddRmsNormArgs& a, int64_t row, float* x, float* weight) {
  int64_t n = a.out.dim(1);
  T* residual = a.residual.as<T>() + row * n;
  load_row(x, residual, n);
  if (!a.delta.empty()) {
    add_row(x, a.delta.as<T>() + row * n, n);
    store_row(residual, x, n);
    load_row(x, residual, n);
  }
  float squares = simd().dot(x, x, n), scale = 1.0f;
  if (a.sum_squares)
    a.sum_squares[row] = squares;
  else if (a.row_squares)
    a.row_squares[row * kSquaresStride] +=
        static_cast<uint64_t>(std::llround(squares * kSquaresUnit));
  else
    scale = 1.0f / std::sqrt(squares / static_cast<float>(n) + a.eps);
  for (int64_t i = 0; i < n; ++i) x[i] = x[i] * scale * weight[i];
  store_row(a.out.as<T>() + row * n, x, n);
}

template <class T>
void norm(const AddRmsNormArgs& a) {
  int64_t n = a.out.dim(1);
  std::vector<float> weight(static_cast<size_t>(n));
  load_row(weight.data(), a.weight.as<T>(), n);
#pragma omp parallel if (a.out.dim(0) > 8)
  {
    std::vector<float> x(static_cast<size_t>(n));
#pragma omp for schedule(static)
    for (int64_t row = 0; row < a.out.dim(0); ++row) norm_row<T>(a, row, x.data(), weight.data());
  }
}

}  // namespace

void add_rms_norm(Stream, const AddRmsNormArgs& a) {
  ensure(a.out.shape == a.residual.shape && a.weight.numel() == a.out.dim(1),
         "add_rms_norm: shapes");
  ensure(a.delta.empty() || a.delta.shape == a.out.shape, "add_rms_norm: delta's shape");
  a.out.dtype == DType::f32 ? norm<float>(a) : norm<bf16>(a);
}

}  // namespace ll::cpu
