// The product for shapes that no other kernel takes, and what timing the others needs.
#include "base/numbers.h"
#include "kernels/cuda/device/cuda_device.h"
#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/device/workspace.h"
#include "kernels/cuda/linear/linear_kernels.h"
#include "kernels/cuda/linear/linear_output.cuh"

namespace ll::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kRowsOfX = 8;  // that a warp multiplies at once

// The products of one row of W with rows first_x... of x, each in every lane.
__device__ void multiply_row(const bf16* weight, const bf16* x, int cols, int count,
                             float (&sums)[kRowsOfX]) {
#pragma unroll
  for (int i = 0; i < kRowsOfX; ++i) sums[i] = 0;
  for (int k = threadIdx.x % 32; k < cols; k += 32) {
    float w = widen(weight[k]);
#pragma unroll
    for (int i = 0; i < kRowsOfX; ++i)
      if (i < count) sums[i] = fmaf(w, widen(x[int64_t{i} * cols + k]), sums[i]);
  }
#pragma unroll
  for (int i = 0; i < kRowsOfX; ++i) sums[i] = warp_sum(sums[i]);
}

// A warp makes the outputs of one row of W, or of a pair of rows, for eight rows of x.
__global__ void __launch_bounds__(32 * kWarps)
    multiply_plain(const bf16* weight, const bf16* x, int cols, LinearOutput out) {
  let_next_start();
  wait_for_previous();
  int row = (static_cast<int>(blockIdx.x) * kWarps + static_cast<int>(threadIdx.x) / 32) *
            (out.has_pairs() ? 2 : 1);
  int first_x = blockIdx.y * kRowsOfX, count = min(kRowsOfX, out.num_x - first_x);
  if (row >= out.rows) return;
  const bf16 *w = weight + int64_t{row} * cols, *from = x + int64_t{first_x} * cols;
  float sums[kRowsOfX], up[kRowsOfX];
  multiply_row(w, from, cols, count, sums);
  if (out.has_pairs()) multiply_row(w + cols, from, cols, count, up);
  if (threadIdx.x % 32 != 0) return;
#pragma unroll
  for (int i = 0; i < kRowsOfX; ++i) {
    if (i >= count) continue;
    float sum = sums[i] + out.bias_of(row);
    if (out.has_pairs())
      out.store_pair(first_x + i, row, sum, up[i] + out.bias_of(row + 1),
                     out.place_of(first_x + i));
    else
      out.store(first_x + i, row, sum);
  }
}

void run(Stream stream, const LinearArgs& a) {
  int64_t units = output_of(a).has_pairs() ? a.weight.rows / 2 : a.weight.rows;
  dim3 grid(static_cast<unsigned>(ceil_div(units, kWarps)),
            static_cast<unsigned>(ceil_div(a.x.dim(0), kRowsOfX)));
  launch(stream, {grid, dim3(32 * kWarps)}, multiply_plain, a.weight.data.as<bf16>(),
         a.x.as<bf16>(), static_cast<int>(a.weight.cols), output_of(a));
}

__global__ void __launch_bounds__(256) read_all(const uint4* data, int64_t count, uint32_t* never) {
  wait_for_previous();
  uint32_t seen = 0;
  for (int64_t i = int64_t{blockIdx.x} * 256 + threadIdx.x; i < count;
       i += int64_t{gridDim.x} * 256) {
    uint4 v = data[i];
    seen |= v.x & v.y & v.z & v.w;
  }
  if (seen == 1)
    *never = 0;  // a write that may happen, so that the reads do; zero is what the counters are
}

}  // namespace

const LinearKernel& plain_kernel() {
  static const LinearKernel kernel{"plain", [](const LinearArgs&) { return true; }, run};
  return kernel;
}

void evict_cache(Stream stream) {
  const Workspace& workspace = workspace_of(stream);
  launch(stream, {dim3(static_cast<unsigned>(8 * num_sms())), dim3(256)}, read_all,
         static_cast<const uint4*>(workspace.scratch.data),
         static_cast<int64_t>(workspace.scratch.bytes / sizeof(uint4)),
         static_cast<uint32_t*>(workspace.zeroed_counters.data));
}

}  // namespace ll::cuda
