// y = x W^T for one to four rows of x: nothing but reading W counts. Each block owns a run of W's
// rows, which lie in one piece of memory. One thread streams them through a ring of stages in
// shared memory, from before the kernel's inputs are ready on; eight warps multiply. A stage is
// whole rows, a row `segments` pieces, a piece one warp's work: a warp always has the same piece of
// x, in registers. Sums are over lanes, then over segments, in a fixed order.
#include <algorithm>
#include <array>
#include <utility>

#include "base/numbers.h"
#include "kernels/cuda/device/cuda_device.h"
#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/linear/linear_kernels.h"
#include "kernels/cuda/linear/linear_output.cuh"
#include "kernels/cuda/ptx/barriers.cuh"
#include "kernels/cuda/ptx/bulk_copy.cuh"
#include "kernels/cuda/ptx/portable.cuh"
#include "kernels/few_rows.h"

namespace ll::cuda {
namespace {

constexpr int kWarps = 8, kConsumers = 32 * kWarps, kThreads = kConsumers + 32;
constexpr int kMaxStages = 16;
constexpr int kBatchRows = 64;  // rows of W whose sums are kept before they are written
constexpr int kStageBytes = 33 << 10, kSingleRowBytes = 40 << 10;
constexpr size_t kSharedBytes = 104 << 10;  // two such blocks and a small one fit a multiprocessor
constexpr size_t kHeaderBytes = 2 * kMaxStages * sizeof(uint64_t) + 128;  // barriers, widener

struct StreamArgs {
  const char* weight;  // [rows, cols]
  const uint4* x;      // [num_x, cols / 8]
  LinearOutput out;
  int row_bytes, segments, segment_vectors;
  int rows_per_stage, num_stages, stage_bytes;
};

// The run of rows of one block; pairs of SiLU-and-mul stay together.
struct RowRange {
  int begin, count;
};

__device__ RowRange rows_of_block(int rows, int unit, int block, int num_blocks) {
  auto cut = [&](int b) { return rows / unit * b / num_blocks * unit; };
  return {cut(block), cut(block + 1) - cut(block)};
}

// Shared memory: barriers, the widener, sums [kBatchRows, segments, kRows], the stages.
struct Ring {
  char* stages;
  uint64_t *full, *empty;
  volatile uint32_t* widener;
};

__host__ __device__ constexpr size_t sum_bytes(int segments, int num_x) {
  return round_up(kBatchRows * segments * num_x * sizeof(float), size_t{128});
}

__device__ void load_weights(const StreamArgs& a, const Ring& ring, RowRange rows) {
  const char* from = a.weight + int64_t{rows.begin} * a.row_bytes;
  RingPosition at;
#pragma unroll 1
  for (int row = 0; row < rows.count; row += a.rows_per_stage) {
    uint32_t bytes = min(a.rows_per_stage, rows.count - row) * a.row_bytes;
    wait_barrier(ring.empty + at.stage, at.parity ^ 1);
    arrive_expecting(ring.full + at.stage, bytes);
    copy_bulk_once(ring.stages + at.stage * a.stage_bytes, from, bytes, ring.full + at.stage);
    from += bytes;
    at.advance(a.num_stages);
  }
  let_next_start();
}

// What widens pairs of bfloat16, known at run time only: the compiler would otherwise widen the x
// of a row once and for all, to twice the registers there are for it.
struct Widener {
  uint32_t factor, mask;  // 2^16, the upper half

  __device__ float low(uint32_t pair) const { return __uint_as_float(pair * factor); }
  __device__ float high(uint32_t pair) const { return __uint_as_float(pair & mask); }
};

// even, odd += w . x, both eight values of bfloat16.
__device__ void multiply_add(uint4 w, uint4 x, Widener widener, float& even, float& odd) {
  uint32_t p[] = {w.x, w.y, w.z, w.w}, q[] = {x.x, x.y, x.z, x.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    even = fmaf(low_half(p[i]), widener.low(q[i]), even);
    odd = fmaf(high_half(p[i]), widener.high(q[i]), odd);
  }
}

// This lane's part of a warp's piece of x; past the piece's end, and in rows that x does not have,
// zero.
template <int kRows, int kVectors>
__device__ void load_inputs(const StreamArgs& a, int segment, int lane,
                            uint4 (&x)[kRows][kVectors]) {
#pragma unroll
  for (int m = 0; m < kRows; ++m) {
    const uint4* from = a.x + (m * a.segments + segment) * a.segment_vectors;
#pragma unroll
    for (int c = 0; c < kVectors; ++c) {
      int i = c * 32 + lane;
      x[m][c] = m < a.out.num_x && i < a.segment_vectors ? from[i] : make_uint4(0, 0, 0, 0);
    }
  }
}

// One piece of a row of W times x; the sums are in every lane. Past the piece's end x is zero and
// the weight is read from inside it, so that no lane leaves the others.
template <int kRows, int kVectors>
__device__ void multiply_piece(const uint4* weight, const uint4 (&x)[kRows][kVectors], int lane,
                               int last, Widener widener, float (&sums)[kRows]) {
  float even[kRows][2] = {}, odd[kRows][2] = {};
  uint4 w[kVectors];
#pragma unroll
  for (int c = 0; c < kVectors; ++c) w[c] = weight[c + 1 < kVectors ? c * 32 + lane : last];
#pragma unroll
  for (int c = 0; c < kVectors; ++c)
#pragma unroll
    for (int m = 0; m < kRows; ++m)
      multiply_add(w[c], x[m][c], widener, even[m][c % 2], odd[m][c % 2]);
#pragma unroll
  for (int m = 0; m < kRows; ++m)
    sums[m] = warp_sum((even[m][0] + odd[m][0]) + (even[m][1] + odd[m][1]));
}

// The row of x of which this thread stores: each has threads for a batch of rows of W, or half as
// many where they store pairs; the lanes of a warp have the same.
__device__ int x_of_thread(const LinearOutput& out) {
  return static_cast<int>(threadIdx.x) / (out.has_pairs() ? kBatchRows / 2 : kBatchRows);
}

// Where that goes; what its ends need is on its way before the inputs are.
__device__ RopePlace look_up(const LinearOutput& out, RowRange rows) {
  if (int row = static_cast<int>(threadIdx.x) * 64; out.bias && row < rows.count)
    prefetch_to_l2(out.bias + rows.begin + row);
  int m = x_of_thread(out);
  if (out.kind != OutputKind::kRope || m >= out.num_x) return {};
  RopePlace place = out.place_of(m);
  int i = static_cast<int>(threadIdx.x) % (kBatchRows / 2) * 32;
  if (place.position >= 0 && i < out.rope.dim)
    prefetch_to_l2(out.rope.cos_sin + int64_t{place.position} * out.rope.dim + i);
  return place;
}

// Outputs of `count` rows of W from `first_row` on, of this thread's row of x; sums [count,
// segments, kRows]. Returns the sum of what `store` does, of the warp.
template <int kRows>
__device__ float store_batch(const StreamArgs& a, const float* sums, int first_row, int count,
                             const RopePlace& place, float scale) {
  int thread = threadIdx.x, m = x_of_thread(a.out);
  auto sum_of = [&](int row) {
    float sum = 0;
#pragma unroll 1
    for (int s = 0; s < a.segments; ++s) sum += sums[(row * a.segments + s) * kRows + m];
    return sum * scale + a.out.bias_of(first_row + row);
  };
  if (m >= a.out.num_x) return 0;
  if (a.out.has_pairs()) {
    int row = thread % (kBatchRows / 2) * 2;
    if (row < count) a.out.store_pair(m, first_row + row, sum_of(row), sum_of(row + 1), place);
    return 0;
  }
  int row = thread % kBatchRows;
  float square = row < count ? a.out.store(m, first_row + row, sum_of(row)) : 0;
  return a.out.kind == OutputKind::kNorm ? warp_sum(square) : 0;
}

template <int kRows, int kVectors>
__device__ void multiply_rows(const StreamArgs& a, const Ring& ring, RowRange rows, float* sums) {
  int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  int last = min((kVectors - 1) * 32 + lane, a.segment_vectors - 1);
  uint4 x[kRows][kVectors];
  RopePlace place = look_up(a.out, rows);
  wait_for_previous();
  load_inputs(a, warp % a.segments, lane, x);
  int m = x_of_thread(a.out);
  float scale = a.out.x_squares && m < a.out.num_x ? a.out.scale_of(a.out.squares_of(m)) : 1;
  float squares = 0;
  RingPosition at;
#pragma unroll 1
  for (int begin = 0; begin < rows.count; begin += kBatchRows) {
    int end = min(begin + kBatchRows, rows.count);
#pragma unroll 1
    for (int row = begin; row < end; row += a.rows_per_stage) {
      auto* stage = reinterpret_cast<const uint4*>(ring.stages + at.stage * a.stage_bytes);
      int pieces = min(a.rows_per_stage, end - row) * a.segments;
      wait_barrier(ring.full + at.stage, at.parity);
#pragma unroll 1
      for (int piece = warp; piece < pieces; piece += kWarps) {
        float s[kRows];
        multiply_piece(stage + piece * a.segment_vectors, x, lane, last,
                       {ring.widener[0], ring.widener[1]}, s);
        if (lane == 0) {
#pragma unroll
          for (int m = 0; m < kRows; ++m)
            sums[((row - begin) * a.segments + piece) * kRows + m] = s[m];
        }
      }
      fence_shared_accesses();
      __syncwarp();
      arrive(ring.empty + at.stage);
      at.advance(a.num_stages);
    }
    sync_some(1, kConsumers);
    squares += store_batch<kRows>(a, sums, rows.begin + begin, end - begin, place, scale);
    sync_some(1, kConsumers);
  }
  if (a.out.kind == OutputKind::kNorm && lane == 0 && m < a.out.num_x)
    a.out.add_to_norm(m, squares);
}

template <int kRows, int kVectors>
__global__ void __launch_bounds__(kThreads, 2) stream_rows(const __grid_constant__ StreamArgs a) {
  char* shared = dynamic_shared();
  auto* barriers = reinterpret_cast<uint64_t*>(shared);
  Ring ring{shared + kHeaderBytes + sum_bytes(a.segments, kRows), barriers, barriers + kMaxStages,
            reinterpret_cast<volatile uint32_t*>(barriers + 2 * kMaxStages)};
  if (threadIdx.x == 0) {
    ring.widener[0] = 1u << 16, ring.widener[1] = 0xffff0000u;
#pragma unroll 1
    for (int s = 0; s < a.num_stages; ++s) {
      init_barrier(ring.full + s, 1);
      init_barrier(ring.empty + s, kConsumers);
    }
    publish_barriers();
  }
  __syncthreads();
  RowRange rows = rows_of_block(a.out.rows, a.out.has_pairs() ? 2 : 1, blockIdx.x, gridDim.x);
  if (threadIdx.x < kConsumers)
    multiply_rows<kRows, kVectors>(a, ring, rows, reinterpret_cast<float*>(shared + kHeaderBytes));
  else if (threadIdx.x == kConsumers)
    load_weights(a, ring, rows);
}

// ---- launching

using Kernel = void (*)(StreamArgs);

// Kernels for 1 to kMost vectors a lane.
template <int kRows, int... kIndex>
constexpr std::array<Kernel, sizeof...(kIndex)> kernels_of(std::integer_sequence<int, kIndex...>) {
  return {stream_rows<kRows, kIndex + 1>...};
}
template <int kRows, int kMost>
Kernel kernel_of(int vectors) {
  static constexpr auto kKernels = kernels_of<kRows>(std::make_integer_sequence<int, kMost>());
  return kKernels[static_cast<size_t>(vectors - 1)];
}

// The registers there are hold so much of x.
constexpr int most_vectors(int num_x) { return num_x == 1 ? 10 : num_x == 2 ? 7 : 3; }

struct StreamPlan {
  int segments = 0, vectors = 0;  // segments 0: the kernel does not take the product
};

// The fewest pieces a row with stages that leave room for three, or else one row a stage.
StreamPlan plan_of(int64_t cols, int num_x) {
  for (int segments : {1, 2, 4, 8}) {
    if (cols % (kVectorWidth * segments) != 0) break;
    int64_t vectors = ceil_div(cols / kVectorWidth / segments, 32);
    int64_t stage_bytes = kWarps / segments * cols * 2;
    if (vectors <= most_vectors(num_x) &&
        stage_bytes <= (segments == kWarps ? kSingleRowBytes : kStageBytes))
      return {segments, static_cast<int>(vectors)};
  }
  return {};
}

bool takes(const LinearArgs& a) {
  return a.x.dim(0) <= kStreamedRows && a.weight.rows * num_sms() < INT32_MAX &&
         is_aligned(a.x.data, 16) && is_aligned(a.weight.data.data, 16) &&
         plan_of(a.weight.cols, static_cast<int>(a.x.dim(0))).segments > 0;
}

template <int kRows>
void run_rows(Stream stream, const LinearArgs& a, StreamPlan plan) {
  auto cols = static_cast<int>(a.weight.cols), rows = static_cast<int>(a.weight.rows);
  LinearOutput out = output_of(a);
  int unit = out.has_pairs() ? 2 : 1, blocks = std::min(num_sms(), rows / unit);
  int most_rows = ceil_div(rows / unit, blocks) * unit, row_bytes = cols * 2;
  int rows_per_stage = kWarps / plan.segments;
  while (2 * rows_per_stage <= kBatchRows && 2 * rows_per_stage * row_bytes <= kStageBytes &&
         6 * rows_per_stage <= most_rows)
    rows_per_stage *= 2;
  int stage_bytes = round_up(rows_per_stage * row_bytes, 128);
  size_t fixed_bytes = kSharedSlack + kHeaderBytes + sum_bytes(plan.segments, kRows);
  auto num_stages =
      static_cast<int>((kSharedBytes - fixed_bytes) / static_cast<size_t>(stage_bytes));
  num_stages = std::min({num_stages, kMaxStages, ceil_div(most_rows, rows_per_stage)});
  Kernel kernel = kernel_of<kRows, most_vectors(kRows)>(plan.vectors);
  size_t shared_bytes =
      fixed_bytes + static_cast<size_t>(num_stages) * static_cast<size_t>(stage_bytes);
  allow_shared(reinterpret_cast<const void*>(kernel), kSharedBytes);
  StreamArgs args{static_cast<const char*>(a.weight.data.data),
                  static_cast<const uint4*>(a.x.data),
                  out,
                  row_bytes,
                  plan.segments,
                  cols / kVectorWidth / plan.segments,
                  rows_per_stage,
                  num_stages,
                  stage_bytes};
  launch(stream, {dim3(static_cast<unsigned>(blocks)), dim3(kThreads), shared_bytes}, kernel, args);
}

void run(Stream stream, const LinearArgs& a) {
  auto num_x = static_cast<int>(a.x.dim(0));
  StreamPlan plan = plan_of(a.weight.cols, num_x);
  if (num_x == 1) return run_rows<1>(stream, a, plan);
  if (num_x == 2) return run_rows<2>(stream, a, plan);
  run_rows<4>(stream, a, plan);
}

}  // namespace

std::span<const LinearKernel> stream_kernels() {
  static const LinearKernel kernels[] = {{"stream", takes, run, /*does_norms=*/true}};
  return kernels;
}

}  // namespace ll::cuda
