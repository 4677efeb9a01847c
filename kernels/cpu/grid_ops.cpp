// What a grid of ranks needs between products and exchanges.
#include <cmath>
#include <cstring>
#include <vector>

#include "kernels/cpu/cpu_ops.h"
#include "kernels/cpu/simd/simd.h"

namespace ll::cpu {
namespace {

template <class T>
void finish_row(const FinishLinearArgs& a, int64_t row, std::vector<float>& y) {
  int64_t n = a.x.dim(1);
  const T* x = a.x.as<T>() + row * n;
  float scale = 1.0f / std::sqrt(a.sum_squares[row] / static_cast<float>(a.width) + a.eps);
  for (int64_t i = 0; i < n; ++i) {
    float bias = a.bias.empty() ? 0.0f : to_float(a.bias.as<T>()[i]);
    y[static_cast<size_t>(i)] = to_float(x[i]) * scale + bias;
  }
  if (a.ending.is_silu()) simd().silu_and_mul(y.data(), y.data(), n /= 2);
  T* out = a.out.as<T>() + row * n;
  for (int64_t i = 0; i < n; ++i) out[i] = from_float<T>(y[static_cast<size_t>(i)]);
}

template <class T>
void finish(const FinishLinearArgs& a) {
#pragma omp parallel if (a.x.dim(0) > 8)
  {
    std::vector<float> y(static_cast<size_t>(a.x.dim(1)));
#pragma omp for schedule(static)
    for (int64_t row = 0; row < a.x.dim(0); ++row) finish_row<T>(a, row, y);
  }
}

template <class T>
void add_all(T* to, const T* x, int64_t n) {
#pragma omp parallel for schedule(static) if (n > 65536)
  for (int64_t i = 0; i < n; ++i) to[i] = from_float<T>(to_float(to[i]) + to_float(x[i]));
}

}  // namespace

void finish_linear(Stream, const FinishLinearArgs& a) {
  int64_t n = a.x.dim(1);
  ensure(a.out.dim(0) == a.x.dim(0) && a.out.dtype == a.x.dtype &&
             a.out.dim(1) == (a.ending.is_silu() ? n / 2 : n) &&
             (a.bias.empty() || a.bias.numel() == n),
         "finish_linear: shapes");
  a.x.dtype == DType::f32 ? finish<float>(a) : finish<bf16>(a);
}

void add(Stream, TensorView to, TensorView x) {
  ensure(to.shape == x.shape && to.dtype == x.dtype, "add: shapes");
  to.dtype == DType::f32 ? add_all(to.as<float>(), x.as<float>(), x.numel())
                         : add_all(to.as<bf16>(), x.as<bf16>(), x.numel());
}

void copy_columns(Stream, TensorView to, int64_t to_column, TensorView x, int64_t from_column,
                  int64_t columns) {
  ensure(to.dim(0) == x.dim(0) && to.dtype == x.dtype && to_column + columns <= to.dim(1) &&
             from_column + columns <= x.dim(1),
         "copy_columns: shapes");
  size_t size = size_of(to.dtype), bytes = static_cast<size_t>(columns) * size;
  for (int64_t row = 0; row < x.dim(0); ++row)
    std::memcpy(
        static_cast<std::byte*>(to.data) + static_cast<size_t>(row * to.dim(1) + to_column) * size,
        static_cast<const std::byte*>(x.data) +
            static_cast<size_t>(row * x.dim(1) + from_column) * size,
        bytes);
}

}  // namespace ll::cpu
