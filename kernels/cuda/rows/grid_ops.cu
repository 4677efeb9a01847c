// What a grid of ranks needs between products and exchanges.
#include <algorithm>

#include "base/numbers.h"
#include "kernels/cuda/device/cuda_ops.h"
#include "kernels/cuda/device/device_math.cuh"
#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/device/workspace.h"

namespace ll::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kMaxBlocks = 4096;

unsigned blocks_of(int64_t items) {
  return static_cast<unsigned>(std::min(ceil_div(items, kThreads), kMaxBlocks));
}

// One block a row; `outputs` a row, each of one input, or of a pair of gate and up.
template <bool kIsSilu>
__global__ void __launch_bounds__(kThreads)
    finish_rows(bf16* out, const bf16* x, const float* sum_squares, const bf16* bias, int outputs,
                float width, float eps) {
  let_next_start();
  wait_for_previous();
  constexpr int kInputs = kIsSilu ? 2 : 1;
  float scale = rsqrtf(sum_squares[blockIdx.x] / width + eps);
  const bf16* from = x + int64_t{blockIdx.x} * outputs * kInputs;
  auto value = [&](int i) { return widen(from[i]) * scale + (bias ? widen(bias[i]) : 0.0f); };
  for (int i = threadIdx.x; i < outputs; i += kThreads) {
    float y = kIsSilu ? silu(value(2 * i)) * value(2 * i + 1) : value(i);
    out[int64_t{blockIdx.x} * outputs + i] = narrow(y);
  }
}

__global__ void __launch_bounds__(kThreads) add_all(bf16* to, const bf16* x, int64_t count) {
  let_next_start();
  wait_for_previous();
  for (int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x; i < count;
       i += int64_t{gridDim.x} * kThreads)
    to[i] = narrow(widen(to[i]) + widen(x[i]));
}

}  // namespace

void finish_linear(Stream stream, const FinishLinearArgs& a) {
  bool is_silu = a.ending.is_silu();
  int64_t inputs = a.x.dim(1), outputs = is_silu ? inputs / 2 : inputs;
  require(a.out.dim(0) == a.x.dim(0) && a.out.dim(1) == outputs &&
              (a.bias.empty() || a.bias.numel() == inputs),
          "finish_linear: shapes");
  if (a.x.empty()) return;
  const bf16* bias = a.bias.empty() ? nullptr : a.bias.as<bf16>();
  launch(stream, {dim3(static_cast<unsigned>(a.x.dim(0))), dim3(kThreads)},
         is_silu ? finish_rows<true> : finish_rows<false>, a.out.as<bf16>(), a.x.as<bf16>(),
         a.sum_squares, bias, static_cast<int>(outputs), static_cast<float>(a.width), a.eps);
}

void add(Stream stream, TensorView to, TensorView x) {
  require(to.shape == x.shape, "add: shapes");
  if (x.empty()) return;
  launch(stream, {dim3(blocks_of(x.numel())), dim3(kThreads)}, add_all, to.as<bf16>(), x.as<bf16>(),
         x.numel());
}

void copy_columns(Stream stream, TensorView to, int64_t to_column, TensorView x,
                  int64_t from_column, int64_t columns) {
  require(to.dim(0) == x.dim(0) && to.dtype == x.dtype && to_column + columns <= to.dim(1) &&
              from_column + columns <= x.dim(1),
          "copy_columns: shapes");
  if (x.dim(0) == 0 || columns == 0) return;
  size_t size = size_of(to.dtype);
  auto bytes = [&](int64_t n) { return static_cast<size_t>(n) * size; };
  check(cudaMemcpy2DAsync(static_cast<char*>(to.data) + bytes(to_column), bytes(to.dim(1)),
                          static_cast<const char*>(x.data) + bytes(from_column), bytes(x.dim(1)),
                          bytes(columns), static_cast<size_t>(x.dim(0)), cudaMemcpyDeviceToDevice,
                          cuda_stream(stream)));
}

}  // namespace ll::cuda
