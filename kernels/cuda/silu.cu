#include "kernels/cuda/silu.h"

#include <algorithm>

#include "kernels/cuda/device_math.cuh"
#include "kernels/cuda/launch.cuh"

namespace ll::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kMaxBlocks = 4096;

// Rows are contiguous on both sides, so pair i makes output i and rows do not matter. A thread
// takes eight outputs.
__global__ void __launch_bounds__(kThreads)
    silu_vectors(uint4* out, const uint4* pairs, int64_t vectors) {
  let_next_start();
  wait_for_previous();
  for (int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x; i < vectors;
       i += int64_t{gridDim.x} * kThreads) {
    uint4 in[2] = {pairs[2 * i], pairs[2 * i + 1]};
    float y[kVectorWidth];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float x[kVectorWidth];
      unpack(in[half], x);
#pragma unroll
      for (int j = 0; j < 4; ++j) y[4 * half + j] = silu(x[2 * j]) * x[2 * j + 1];
    }
    out[i] = pack(y);
  }
}

__global__ void __launch_bounds__(kThreads)
    silu_plain(bf16* out, const uint32_t* pairs, int64_t begin, int64_t end) {
  let_next_start();
  wait_for_previous();
  int64_t i = begin + int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i < end) out[i] = narrow(silu(low_half(pairs[i])) * high_half(pairs[i]));
}

unsigned blocks_of(int64_t threads) {
  return static_cast<unsigned>((threads + kThreads - 1) / kThreads);
}

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
    unsigned blocks = std::min(blocks_of(vectors), static_cast<unsigned>(kMaxBlocks));
    launch(stream, {dim3(blocks), dim3(kThreads)}, silu_vectors, static_cast<uint4*>(out.data),
           static_cast<const uint4*>(pairs.data), vectors);
  }
  if (done < count)
    launch(stream, {dim3(blocks_of(count - done)), dim3(kThreads)}, silu_plain, out.as<bf16>(),
           static_cast<const uint32_t*>(pairs.data), done, count);
}

}  // namespace ll::cuda
