#include <algorithm>

#include "base/numbers.h"
#include "base/random.h"
#include "kernels/cuda/device/cuda_ops.h"
#include "kernels/cuda/device/device_math.cuh"
#include "kernels/cuda/device/launch.cuh"

namespace ll::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kMaxBlocks = 8192;

__device__ void store(float* out, float x) { *out = x; }
__device__ void store(bf16* out, float x) { *out = narrow(x); }

// It makes weights, which `linear` loads before its predecessor ends: so it does not let the next
// kernel start early.
template <class T>
__global__ void __launch_bounds__(kThreads)
    fill_numbered(T* out, int64_t count, int64_t cols, uint64_t seed, float scale, int64_t first,
                  int64_t full_cols) {
  wait_for_previous();
  for (int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x; i < count;
       i += int64_t{gridDim.x} * kThreads) {
    int64_t row = i / cols, col = i % cols;
    store(out + i,
          scale * weight_noise(seed, static_cast<uint64_t>(first + row * full_cols + col)));
  }
}

}  // namespace

void fill_random(Stream stream, TensorView out, uint64_t seed, float scale, int64_t row0,
                 int64_t col0, int64_t full_cols) {
  if (out.empty()) return;
  int64_t cols = out.shape.rank() > 1 ? out.dim(1) : 1, count = out.dim(0) * cols,
          first = row0 * full_cols + col0;
  int64_t blocks = std::min(ceil_div(count, kThreads), kMaxBlocks);
  LaunchShape shape{dim3(static_cast<unsigned>(blocks)), dim3(kThreads)};
  if (out.dtype == DType::f32)
    launch(stream, shape, fill_numbered<float>, out.as<float>(), count, cols, seed, scale, first,
           full_cols);
  else
    launch(stream, shape, fill_numbered<bf16>, out.as<bf16>(), count, cols, seed, scale, first,
           full_cols);
}

}  // namespace ll::cuda
