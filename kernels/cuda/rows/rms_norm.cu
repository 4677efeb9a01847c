// Residual add and RMSNorm, one block a row.
#include "base/numbers.h"
#include "kernels/cuda/device/cuda_ops.h"
#include "kernels/cuda/device/device_math.cuh"
#include "kernels/cuda/device/launch.cuh"

namespace ll::cuda {
namespace {

constexpr int kMaxThreads = 1024;
constexpr int kPlainThreads = 256;

struct SquaresTarget {
  float* sums;
  uint64_t* units;

  // Where a row's squares are wanted, the scale is left to those who take them.
  __device__ float row_scale(float squares, float width, float eps) const {
    if (!sums && !units) return rsqrtf(squares / width + eps);
    if (threadIdx.x == 0) {
      if (sums) sums[blockIdx.x] = squares;
      if (units) add_squares(units + blockIdx.x * kSquaresStride, squares);
    }
    return 1.0f;
  }
};

// out, residual, delta [rows, width / 8] and weight [width / 8] in vectors of 8; a thread keeps
// kVectors of its row.
template <int kVectors>
__global__ void __launch_bounds__(kMaxThreads)
    norm_in_registers(uint4* out, uint4* residual, const uint4* delta, const uint4* weight,
                      int vectors, float width, float eps, SquaresTarget squares) {
  __shared__ float shared[32];
  let_next_start();
  uint4 gain[kVectors], x[kVectors];
#pragma unroll
  for (int v = 0; v < kVectors; ++v) {
    int i = threadIdx.x + v * blockDim.x;
    gain[v] = i < vectors ? weight[i] : make_uint4(0, 0, 0, 0);
  }
  wait_for_previous();
  int64_t row = int64_t{blockIdx.x} * vectors;
  float sum = 0;
#pragma unroll
  for (int v = 0; v < kVectors; ++v) {
    int i = threadIdx.x + v * blockDim.x;
    x[v] = make_uint4(0, 0, 0, 0);
    if (i < vectors) {
      x[v] = residual[row + i];
      if (delta) residual[row + i] = x[v] = add_rounded(x[v], delta[row + i]);
    }
    sum += square_sum(x[v]);
  }
  float scale = squares.row_scale(block_sum(sum, shared), width, eps);
#pragma unroll
  for (int v = 0; v < kVectors; ++v) {
    int i = threadIdx.x + v * blockDim.x;
    if (i < vectors) out[row + i] = scaled(x[v], scale, gain[v]);
  }
}

// Any width and alignment.
__global__ void __launch_bounds__(kPlainThreads)
    norm_plain(bf16* out, bf16* residual, const bf16* delta, const bf16* weight, int width,
               float eps, SquaresTarget squares) {
  __shared__ float shared[32];
  let_next_start();
  wait_for_previous();
  int64_t row = int64_t{blockIdx.x} * width;
  float sum = 0;
  for (int i = threadIdx.x; i < width; i += kPlainThreads) {
    if (delta) residual[row + i] = narrow(widen(residual[row + i]) + widen(delta[row + i]));
    float x = widen(residual[row + i]);
    sum = fmaf(x, x, sum);
  }
  float scale = squares.row_scale(block_sum(sum, shared), static_cast<float>(width), eps);
  for (int i = threadIdx.x; i < width; i += kPlainThreads)
    out[row + i] = narrow(widen(residual[row + i]) * scale * widen(weight[i]));
}

template <int kVectors>
void launch_in_registers(Stream stream, const AddRmsNormArgs& a) {
  auto vectors = static_cast<int>(a.out.dim(1) / kVectorWidth);
  int threads = round_up(ceil_div(vectors, kVectors), 32);
  auto rows = static_cast<unsigned>(a.out.dim(0));
  launch(stream, {dim3(rows), dim3(static_cast<unsigned>(threads))}, norm_in_registers<kVectors>,
         static_cast<uint4*>(a.out.data), static_cast<uint4*>(a.residual.data),
         static_cast<const uint4*>(a.delta.empty() ? nullptr : a.delta.data),
         static_cast<const uint4*>(a.weight.data), vectors, static_cast<float>(a.out.dim(1)), a.eps,
         SquaresTarget{a.sum_squares, a.row_squares});
}

__global__ void __launch_bounds__(kPlainThreads)
    scale_each(bf16* out, const bf16* x, int width, RowSquares squares) {
  let_next_start();
  wait_for_previous();
  int64_t row = blockIdx.x;
  float scale = row_scale_of(__ldcg(squares.sums + row * kSquaresStride), static_cast<float>(width),
                             squares.eps);
  for (int i = threadIdx.x; i < width; i += kPlainThreads)
    out[row * width + i] = narrow(widen(x[row * width + i]) * scale);
}

bool is_vector(const void* p) { return is_aligned(p, sizeof(uint4)); }

}  // namespace

void add_rms_norm(Stream stream, const AddRmsNormArgs& a) {
  require(a.out.shape == a.residual.shape && a.weight.numel() == a.out.dim(1),
          "add_rms_norm: shapes");
  require(a.delta.empty() || a.delta.shape == a.out.shape, "add_rms_norm: delta's shape");
  require(a.out.dtype == DType::bf16 && a.weight.dtype == DType::bf16,
          "add_rms_norm: bfloat16 only");
  if (a.out.empty()) return;
  int64_t width = a.out.dim(1);
  bool in_vectors = width % kVectorWidth == 0 && is_vector(a.out.data) &&
                    is_vector(a.residual.data) && is_vector(a.delta.data) &&
                    is_vector(a.weight.data);
  if (in_vectors && width <= kMaxThreads * kVectorWidth) return launch_in_registers<1>(stream, a);
  if (in_vectors && width <= 4 * kMaxThreads * kVectorWidth)
    return launch_in_registers<4>(stream, a);
  const bf16* delta = a.delta.empty() ? nullptr : a.delta.as<bf16>();
  launch(stream, {dim3(static_cast<unsigned>(a.out.dim(0))), dim3(kPlainThreads)}, norm_plain,
         a.out.as<bf16>(), a.residual.as<bf16>(), delta, a.weight.as<bf16>(),
         static_cast<int>(width), a.eps, SquaresTarget{a.sum_squares, a.row_squares});
}

void scale_rows(Stream stream, TensorView out, TensorView x, const RowSquares& squares) {
  launch(stream, {dim3(static_cast<unsigned>(x.dim(0))), dim3(kPlainThreads)}, scale_each,
         out.as<bf16>(), x.as<bf16>(), static_cast<int>(x.dim(1)), squares);
}

}  // namespace ll::cuda
