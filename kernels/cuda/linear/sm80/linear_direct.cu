// y = x W^T for one to four rows of x: nothing but reading W counts, and it goes straight to
// registers. A warp multiplies a segment of two rows of W, which SiLU-and-mul and RoPE want
// together; a block's warps are so many pairs times so many segments. Sums are over lanes, then
// over segments, in a fixed order. How many segments are best depends on the GPU and the shape:
// each number is a kernel by name, and what is measured chooses.
#include "base/numbers.h"
#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/linear/linear_kernels.h"
#include "kernels/cuda/linear/linear_output.cuh"
#include "kernels/few_rows.h"

namespace ll::cuda {
namespace {

constexpr int kWarps = 8, kThreads = 32 * kWarps;
constexpr int kPair = 2;   // rows of W
constexpr int kBatch = 2;  // vectors of each that a lane has under way; more only cost registers

struct DirectArgs {
  const uint4 *weight, *x;  // [rows, vectors], [num_x, vectors]
  LinearOutput out;
  int vectors, segments, segment_vectors;  // of a row; the last segment may be shorter
};

// Past the first cache, which is for x.
__device__ uint4 load_once(const uint4* from) {
  uint4 v;
  asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(from));
  return v;
}

// sums[r][m] += the products of this lane's vectors of row r of the pair with row m of x.
template <int kRows>
__device__ void multiply_batch(const uint4 (&w)[kBatch][kPair], const uint4* x, int vectors, int at,
                               int end, float (&sums)[kPair][kRows]) {
#pragma unroll
  for (int i = 0; i < kBatch; ++i) {
    if (at + 32 * i >= end) break;
    float weights[kPair][kVectorWidth];
#pragma unroll
    for (int r = 0; r < kPair; ++r) unpack(w[i][r], weights[r]);
#pragma unroll
    for (int m = 0; m < kRows; ++m) {
      float values[kVectorWidth];
      unpack(x[m * vectors + at + 32 * i], values);
#pragma unroll
      for (int r = 0; r < kPair; ++r)
#pragma unroll
        for (int k = 0; k < kVectorWidth; ++k)
          sums[r][m] = fmaf(weights[r][k], values[k], sums[r][m]);
    }
  }
}

// This lane's part of a segment; x has kRows rows.
template <int kRows>
__device__ void multiply_segment(const DirectArgs& a, int row, int segment,
                                 float (&sums)[kPair][kRows]) {
  int at = segment * a.segment_vectors + static_cast<int>(threadIdx.x) % 32,
      end = min((segment + 1) * a.segment_vectors, a.vectors);
  const uint4* first = a.weight + int64_t{row} * a.vectors;
  // An odd W's last row stands in for the one behind it.
  const uint4* second = row + 1 < a.out.rows ? first + a.vectors : first;
#pragma unroll 1
  for (; at < end; at += 32 * kBatch) {
    uint4 w[kBatch][kPair];
#pragma unroll
    for (int i = 0; i < kBatch; ++i) {
      int from = min(at + 32 * i, end - 1);
      w[i][0] = load_once(first + from);
      w[i][1] = load_once(second + from);
    }
    multiply_batch<kRows>(w, a.x, a.vectors, at, end, sums);
  }
}

// The ends of a pair's products with row m of x, whose sums these are.
__device__ void store_sums(const LinearOutput& out, int row, int m, float first, float second) {
  first += out.bias_of(row);
  if (row + 1 < out.rows) second += out.bias_of(row + 1);
  if (out.has_pairs()) return out.store_pair(m, row, first, second, out.place_of(m));
  out.store(m, row, first);
  if (row + 1 < out.rows) out.store(m, row + 1, second);
}

template <int kRows>
__global__ void __launch_bounds__(kThreads) multiply_direct(const __grid_constant__ DirectArgs a) {
  __shared__ float parts[kWarps][kPair * kRows];
  let_next_start();
  wait_for_previous();
  int warp = static_cast<int>(threadIdx.x) / 32, pairs = kWarps / a.segments;
  int first_row = static_cast<int>(blockIdx.x) * pairs * kPair,
      row = first_row + warp / a.segments * kPair;
  if (row < a.out.rows) {
    float sums[kPair][kRows] = {};
    multiply_segment<kRows>(a, row, warp % a.segments, sums);
#pragma unroll
    for (int r = 0; r < kPair; ++r)
#pragma unroll
      for (int m = 0; m < kRows; ++m) {
        float sum = warp_sum(sums[r][m]);
        if (threadIdx.x % 32 == 0) parts[warp][r * kRows + m] = sum;
      }
  }
  __syncthreads();
  int pair = static_cast<int>(threadIdx.x) / kRows, m = static_cast<int>(threadIdx.x) % kRows;
  row = first_row + pair * kPair;
  if (pair >= pairs || row >= a.out.rows || m >= a.out.num_x) return;
  float first = 0, second = 0;
  for (int s = pair * a.segments; s < (pair + 1) * a.segments; ++s) {
    first += parts[s][m];
    second += parts[s][kRows + m];
  }
  store_sums(a.out, row, m, first, second);
}

// ---- launching

constexpr int kLeastSegment = 32;  // vectors, one a lane
constexpr int kLineVectors = 8;    // vectors of a line of memory, which no two segments read

bool takes(const LinearArgs& a, int segments) {
  int64_t vectors = a.weight.cols / kVectorWidth;
  return a.x.dim(0) <= kStreamedRows && a.weight.cols % kVectorWidth == 0 &&
         is_aligned(a.x.data, 16) && is_aligned(a.weight.data.data, 16) &&
         (segments == 1 || vectors / segments >= kLeastSegment);
}

void run(Stream stream, const LinearArgs& a, int segments) {
  LinearOutput out = output_of(a);
  auto vectors = static_cast<int>(a.weight.cols / kVectorWidth);
  DirectArgs args{static_cast<const uint4*>(a.weight.data.data),
                  static_cast<const uint4*>(a.x.data),
                  out,
                  vectors,
                  segments,
                  round_up(ceil_div(vectors, segments), kLineVectors)};
  LaunchShape shape{dim3(static_cast<unsigned>(ceil_div(out.rows, kWarps / segments * kPair))),
                    dim3(kThreads)};
  if (out.num_x == 1) return launch(stream, shape, multiply_direct<1>, args);
  if (out.num_x == 2) return launch(stream, shape, multiply_direct<2>, args);
  if (out.num_x == 3) return launch(stream, shape, multiply_direct<3>, args);
  static_assert(kStreamedRows == 4);
  launch(stream, shape, multiply_direct<4>, args);
}

template <int kSegments>
LinearKernel kernel() {
  return {"direct" + std::to_string(kSegments),
          [](const LinearArgs& a) { return takes(a, kSegments); },
          [](Stream stream, const LinearArgs& a) { run(stream, a, kSegments); }};
}

}  // namespace

std::span<const LinearKernel> direct_kernels() {
  static const LinearKernel kernels[] = {kernel<1>(), kernel<2>(), kernel<4>(), kernel<8>()};
  return kernels;
}

}  // namespace ll::cuda
