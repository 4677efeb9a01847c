// Attention for shapes that the tensor cores' kernels do not take: any even head dimension up to
// kMostPlainDim, any number of query heads a KV head. A block does one row and query head: its
// warps take runs of positions in turns, each with its own running softmax, and are merged at the
// end.
#include <cmath>

#include "kernels/cuda/attention/attention.cuh"
#include "kernels/cuda/device/launch.cuh"

namespace ll::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kRun = 4;  // positions of a page that a warp loads at once
static_assert(kPagePositions % kRun == 0);

struct PlainArgs {
  const bf16 *qkv, *keys, *values;  // [T, (H + 2 KH) D], pages [.., KH, kPagePositions, D]
  bf16* out;                        // [T, H D]
  float* log_sums;                  // [T, H] or null
  const int32_t *positions, *slots, *page_table;
  int64_t page_table_stride;
  int first_row, num_heads, num_kv_heads, dim;
  float scale_log2;
  PositionSplit split;
};

// exp2((x - max) * scale), where nothing is minus infinity.
__device__ inline float weight_of(float x, float max, float scale_log2) {
  return x == -kInfinity ? 0.0f : exp2f((x - max) * scale_log2);
}

// What a warp has seen: pair i of lane l is dims 2 (32 i + l) and the next.
template <int kPairs>
struct WarpSums {
  float max = -kInfinity, sum = 0, values[kPairs][2] = {};

  // Adds positions with these scores and values; scores of -infinity are none.
  __device__ void add(const float (&scores)[kRun], const uint32_t (&pairs)[kRun][kPairs],
                      float scale_log2) {
    float highest = max;
#pragma unroll
    for (float score : scores) highest = fmaxf(highest, score);
    float factor = weight_of(max, highest, scale_log2);
    max = highest;
    sum *= factor;
#pragma unroll
    for (int i = 0; i < kPairs; ++i) values[i][0] *= factor, values[i][1] *= factor;
#pragma unroll
    for (int u = 0; u < kRun; ++u) {
      float weight = weight_of(scores[u], highest, scale_log2);
      sum += weight;
#pragma unroll
      for (int i = 0; i < kPairs; ++i) {
        values[i][0] = fmaf(weight, low_half(pairs[u][i]), values[i][0]);
        values[i][1] = fmaf(weight, high_half(pairs[u][i]), values[i][1]);
      }
    }
  }
};

// This lane's pairs of a head; those behind its end are zero.
template <int kPairs>
__device__ void load_pairs(const bf16* head, int dim, uint32_t (&pairs)[kPairs]) {
  int lane = threadIdx.x % 32;
#pragma unroll
  for (int i = 0; i < kPairs; ++i) {
    int pair = 32 * i + lane;
    pairs[i] = 2 * pair < dim ? reinterpret_cast<const uint32_t*>(head)[pair] : 0u;
  }
}

template <int kPairs>
__device__ float dot(const uint32_t (&x)[kPairs], const uint32_t (&y)[kPairs]) {
  float sum = 0;
#pragma unroll
  for (int i = 0; i < kPairs; ++i) {
    sum = fmaf(low_half(x[i]), low_half(y[i]), sum);
    sum = fmaf(high_half(x[i]), high_half(y[i]), sum);
  }
  return warp_sum(sum);
}

// This warp's part of positions [0, length) of the row's sequence.
template <int kPairs>
__device__ WarpSums<kPairs> attend(const PlainArgs& a, const bf16* query, const int32_t* pages,
                                   int kv_head, int length) {
  uint32_t q[kPairs];
  load_pairs(query, a.dim, q);
  WarpSums<kPairs> sums;
  for (int first = threadIdx.x / 32 * kRun; first < length; first += kWarps * kRun) {
    int64_t line =
        (int64_t{pages[first / kPagePositions]} * a.num_kv_heads + kv_head) * kPagePositions +
        first % kPagePositions;
    uint32_t k[kRun][kPairs], v[kRun][kPairs];
    float scores[kRun];
#pragma unroll
    for (int u = 0; u < kRun; ++u) {
      // What a page holds behind its sequence may be anything.
      bool is_there = first + u < length;
      load_pairs(a.keys + (line + u) * a.dim, is_there ? a.dim : 0, k[u]);
      load_pairs(a.values + (line + u) * a.dim, is_there ? a.dim : 0, v[u]);
    }
#pragma unroll
    for (int u = 0; u < kRun; ++u) {
      float score = dot(q, k[u]);
      scores[u] = first + u < length ? score : -kInfinity;
    }
    sums.add(scores, v, a.scale_log2);
  }
  return sums;
}

// What the warps of a block have seen.
template <int kPairs>
struct BlockSums {
  float max[kWarps], sum[kWarps];
  float2 values[kWarps][32 * kPairs];

  __device__ void keep(const WarpSums<kPairs>& own) {
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    if (lane == 0) max[warp] = own.max, sum[warp] = own.sum;
#pragma unroll
    for (int i = 0; i < kPairs; ++i)
      values[warp][32 * i + lane] = {own.values[i][0], own.values[i][1]};
  }

  // Number `group` of all rows' heads: values, and the log-sum if it is wanted.
  __device__ void store(const PlainArgs& a, int64_t group) const {
    float highest = -kInfinity, total = 0;
    for (float x : max) highest = fmaxf(highest, x);
    for (int w = 0; w < kWarps; ++w) total += sum[w] * weight_of(max[w], highest, a.scale_log2);
    if (a.log_sums && threadIdx.x == 0) a.log_sums[group] = log_sum(highest, total, a.scale_log2);
    float inverse = total > 0 ? 1.0f / total : 0.0f;
    auto* out = reinterpret_cast<uint32_t*>(a.out + group * a.dim);
    for (int pair = threadIdx.x; 2 * pair < a.dim; pair += 32 * kWarps) {
      float low = 0, high = 0;
      for (int w = 0; w < kWarps; ++w) {
        float weight = weight_of(max[w], highest, a.scale_log2) * inverse;
        low = fmaf(weight, values[w][pair].x, low);
        high = fmaf(weight, values[w][pair].y, high);
      }
      out[pair] = pack_pair(low, high);
    }
  }
};

// Block (row, query head).
template <int kPairs>
__global__ void __launch_bounds__(32 * kWarps) attend_plain(const __grid_constant__ PlainArgs a) {
  __shared__ BlockSums<kPairs> sums;
  let_next_start();
  wait_for_previous();
  int row = a.first_row + static_cast<int>(blockIdx.x), head = blockIdx.y,
      position = a.positions[row];
  if (position < 0) return;
  int width = (a.num_heads + 2 * a.num_kv_heads) * a.dim;
  const bf16* query = a.qkv + int64_t{row} * width + head * a.dim;
  const int32_t* pages = a.page_table + a.slots[row] * a.page_table_stride;
  int kv_head = head / (a.num_heads / a.num_kv_heads);
  sums.keep(attend<kPairs>(a, query, pages, kv_head, a.split.count(position + 1)));
  __syncthreads();
  sums.store(a, int64_t{row} * a.num_heads + head);
}

void attend_rows(Stream stream, const AttentionArgs& a, int first_row, int num_rows) {
  auto dim = static_cast<int>(a.kv.k.dim(3));
  PlainArgs args{.qkv = a.qkv.as<bf16>(),
                 .keys = a.kv.k.as<bf16>(),
                 .values = a.kv.v.as<bf16>(),
                 .out = a.out.as<bf16>(),
                 .log_sums = a.log_sums,
                 .positions = a.batch.positions,
                 .slots = a.batch.slots,
                 .page_table = a.batch.page_table,
                 .page_table_stride = a.batch.page_table_stride,
                 .first_row = first_row,
                 .num_heads = a.num_heads,
                 .num_kv_heads = a.num_kv_heads,
                 .dim = dim,
                 .scale_log2 = scale_log2(dim),
                 .split = a.kv.split};
  auto* kernel = dim <= 64    ? attend_plain<1>
                 : dim <= 128 ? attend_plain<2>
                 : dim <= 256 ? attend_plain<4>
                 : dim <= 512 ? attend_plain<8>
                              : attend_plain<16>;
  dim3 grid(static_cast<unsigned>(num_rows), static_cast<unsigned>(a.num_heads));
  launch(stream, {grid, dim3(32 * kWarps)}, kernel, args);
}

void decode(Stream stream, const AttentionArgs& a) {
  attend_rows(stream, a, 0, a.batch.num_decode);
}

// The chunks' rows follow those of decoding.
void prefill(Stream stream, const AttentionArgs& a) {
  attend_rows(stream, a, a.batch.num_decode, a.batch.num_tokens - a.batch.num_decode);
}

}  // namespace

float scale_log2(int64_t head_dim) {
  return static_cast<float>(1.4426950408889634 / std::sqrt(static_cast<double>(head_dim)));
}

const AttentionKernels& plain_attention() {
  static const AttentionKernels kernels{
      .name = "plain",
      .family = KernelFamily::kAny,
      .max_sequences = 0,
      .prepare = nullptr,
      .takes = [](const AttentionShape& s) { return s.head_dim <= kMostPlainDim; },
      .begin_step = nullptr,
      .decode = decode,
      .prefill = prefill};
  return kernels;
}

}  // namespace ll::cuda
