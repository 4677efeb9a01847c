#include "kernels/cuda/rows/silu.h"

#include <algorithm>

#include "base/numbers.h"
#include "kernels/cuda/device/device_math.cuh"
#include "kernels/cuda/device/launch.cuh"

namespace ll::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kMaxBlocks = 4096;
constexpr int kAtOnce = 2;

__device__ uint4 eight_of(const uint4 (&pairs)[2]) {
  float y[kVectorWidth];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float x[kVectorWidth];
    unpack(pairs[half], x);
#pragma unroll
    for (int j = 0; j < 4; ++j) y[4 * half + j] = silu(x[2 * j]) * x[2 * j + 1];
  }
  return pack(y);
}

// Rows are contiguous on both sides, so pair i makes output i and rows do not matter. A thread
// takes eight outputs at a time, and loads the pairs of two of them at once.
__global__ void __launch_bounds__(kThreads)
    silu_vectors(uint4* out, const uint4* pairs, int64_t vectors) {
  let_next_start();
  wait_for_previous();
  int64_t step = int64_t{gridDim.x} * kThreads;
  for (int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x; i < vectors; i += kAtOnce * step) {
    uint4 in[kAtOnce][2];
#pragma unroll
    for (int v = 0; v < kAtOnce; ++v)
      if (i + v * step < vectors)
        in[v][0] = pairs[2 * (i + v * step)], in[v][1] = pairs[2 * (i + v * step) + 1];
#pragma unroll
    for (int v = 0; v < kAtOnce; ++v)
      if (i + v * step < vectors) out[i + v * step] = eight_of(in[v]);
  }
}

__global__ void __launch_bounds__(kThreads)
    silu_plain(bf16* out, const uint32_t* pairs, int64_t begin, int64_t end) {
  let_next_start();
  wait_for_previous();
  int64_t i = begin + int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i < end) out[i] = narrow(silu(low_half(pairs[i])) * high_half(pairs[i]));
}

unsigned blocks_of(int64_t threads) { return static_cast<unsigned>(ceil_div(threads, kThreads)); }

}  // namespace

void silu_and_mul(Stream stream, TensorView out, TensorView pairs) {
  require(
      out.dtype == DType::bf16 && pairs.dtype == DType::bf16 && pairs.numel() == 2 * out.numel(),
      "silu_and_mul: shapes");
  int64_t count = out.numel();
  bool aligned = (reinterpret_cast<uintptr_t>(out.data) | reinterpret_cast<uintptr_t>(pairs.data)) %
                     sizeof(uint4) ==
                 0;
  int64_t vectors = aligned ? count / kVectorWidth : 0, done = vectors * kVectorWidth;
  if (vectors > 0) {
    unsigned blocks =
        std::min(blocks_of(ceil_div(vectors, kAtOnce)), static_cast<unsigned>(kMaxBlocks));
    launch(stream, {dim3(blocks), dim3(kThreads)}, silu_vectors, static_cast<uint4*>(out.data),
           static_cast<const uint4*>(pairs.data), vectors);
  }
  if (done < count)
    launch(stream, {dim3(blocks_of(count - done)), dim3(kThreads)}, silu_plain, out.as<bf16>(),
           static_cast<const uint32_t*>(pairs.data), done, count);
}

}  // namespace ll::cuda
