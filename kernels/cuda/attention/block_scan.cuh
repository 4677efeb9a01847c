#pragma once
// Lists of things of several sizes, one behind the other: where each begins, and which one is
// where. For blocks of kScanThreads.
#include "base/numbers.h"
#include "kernels/cuda/attention/attention_plan.cuh"
#include "kernels/cuda/device/device_math.cuh"

namespace ll::cuda {

constexpr int kScanThreads = 1024, kScanWarps = kScanThreads / 32;

// first[i] = size(0) + ... + size(i - 1), for i up to and including n; size may read first[i]. All
// threads of the block take part.
template <class Size>
__device__ void scan(int n, Size size, int* first, int* warp_sums) {
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32, each = ceil_div(n, kScanThreads);
  int begin = smaller(threadIdx.x * each, n), end = smaller(begin + each, n);
  int sum = 0;
  for (int i = begin; i < end; ++i) sum += size(i);
  int up_to_here = sum;
  for (int step = 1; step < 32; step *= 2) {
    int below = __shfl_up_sync(kFullWarp, up_to_here, step);
    if (lane >= step) up_to_here += below;
  }
  if (lane == 31) warp_sums[warp] = up_to_here;
  __syncthreads();
  int before = up_to_here - sum;
  for (int w = 0; w < warp; ++w) before += warp_sums[w];
  for (int i = begin; i < end; ++i) {
    int here = size(i);
    first[i] = before;
    before += here;
  }
  if (threadIdx.x == kScanThreads - 1) first[n] = before;
  __syncthreads();
}

// The last i < n with first[i] <= x: the one that holds x, as empty ones come before.
__device__ inline int holder_of(int x, const int* first, int n) {
  int low = 0, high = n - 1;
  while (low < high) {
    int middle = (low + high + 1) / 2;
    if (first[middle] <= x)
      low = middle;
    else
      high = middle - 1;
  }
  return low;
}

}  // namespace ll::cuda
