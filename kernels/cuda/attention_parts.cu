// Attention where ranks share the KV positions: over this rank's positions with log-sums, packed
// for the other ranks, and merged. Plain kernels: a warp takes one query head of one row.
#include "kernels/cuda/attention.cuh"
#include "kernels/cuda/cuda_ops.h"
#include "kernels/cuda/launch.cuh"

namespace ll::cuda {
namespace {

constexpr int kThreads = 128, kWarps = kThreads / 32;

struct SplitArgs {
  bf16* out;        // [T, H D]
  float* log_sums;  // [T, H]
  const bf16 *qkv, *k, *v;
  const int32_t *positions, *slots, *page_table;
  int64_t page_table_stride;
  int num_rows, num_heads, num_kv_heads, page_size;
  PositionSplit split;
  float scale_log2;
};

// Each lane has kDim / 32 dims, one pair after another 64 dims apart.
template <int kDim>
__device__ void load_dims(const bf16* row, float (&x)[kDim / 32]) {
#pragma unroll
  for (int i = 0; i < kDim / 64; ++i) {
    uint32_t pair = reinterpret_cast<const uint32_t*>(row)[i * 32 + threadIdx.x % 32];
    x[2 * i] = low_half(pair);
    x[2 * i + 1] = high_half(pair);
  }
}

template <int kDim>
__global__ void __launch_bounds__(kThreads) attend_own(const SplitArgs a) {
  let_next_start();
  wait_for_previous();
  int64_t item = int64_t{blockIdx.x} * kWarps + threadIdx.x / 32;
  if (item >= int64_t{a.num_rows} * a.num_heads) return;
  int64_t row = item / a.num_heads;
  int head = static_cast<int>(item % a.num_heads), kv_head = head * a.num_kv_heads / a.num_heads;
  if (a.positions[row] < 0) return;
  int length = a.split.count(a.positions[row] + 1);
  const int32_t* pages = a.page_table + a.slots[row] * a.page_table_stride;
  float q[kDim / 32], out[kDim / 32] = {}, max = -kInfinity, sum = 0;
  load_dims<kDim>(a.qkv + (row * (a.num_heads + 2 * a.num_kv_heads) + head) * kDim, q);
  for (int j = 0; j < length; ++j) {
    int64_t page = pages[j / a.page_size];
    int64_t line = ((page * a.num_kv_heads + kv_head) * a.page_size + j % a.page_size) * kDim;
    float k[kDim / 32], v[kDim / 32], dot = 0;
    load_dims<kDim>(a.k + line, k);
    load_dims<kDim>(a.v + line, v);
#pragma unroll
    for (int i = 0; i < kDim / 32; ++i) dot = fmaf(q[i], k[i], dot);
    float score = warp_sum(dot) * a.scale_log2, top = fmaxf(max, score);
    float before = exp2f(max - top), now = exp2f(score - top);
    max = top;
    sum = sum * before + now;
#pragma unroll
    for (int i = 0; i < kDim / 32; ++i) out[i] = out[i] * before + now * v[i];
  }
  float inverse = length > 0 ? 1.0f / sum : 0.0f;
  auto* to = reinterpret_cast<uint32_t*>(a.out + item * kDim);
#pragma unroll
  for (int i = 0; i < kDim / 64; ++i)
    to[i * 32 + threadIdx.x % 32] = pack_pair(out[2 * i] * inverse, out[2 * i + 1] * inverse);
  constexpr float kLog2 = 0.69314718f;
  if (threadIdx.x % 32 == 0) a.log_sums[item] = length > 0 ? max * kLog2 + logf(sum) : -kInfinity;
}

// Block (row, block of the exchange).
__global__ void __launch_bounds__(kThreads)
    pack_rows(AttentionBlocks to, int copies, const bf16* out, int64_t out_width,
              const float* log_sums) {
  let_next_start();
  wait_for_previous();
  int64_t row = blockIdx.x;
  auto* block = static_cast<char*>(to.data) + blockIdx.y * to.block_bytes();
  auto* sums = reinterpret_cast<float*>(block) + row * to.heads;
  auto* values = reinterpret_cast<bf16*>(block + to.values_offset()) + row * to.width;
  const bf16* from = out + row * out_width + blockIdx.y / copies * to.width;
  for (int64_t i = threadIdx.x; i < to.heads; i += kThreads) sums[i] = log_sums[row * to.heads + i];
  for (int64_t i = threadIdx.x; i < to.width; i += kThreads) values[i] = from[i];
}

// One block a row. The weights of a head's parts are computed anew by each of its columns.
__global__ void __launch_bounds__(kThreads)
    merge_rows(bf16* out, AttentionBlocks from, int num_blocks, int64_t first_column,
               int64_t head_dim) {
  let_next_start();
  wait_for_previous();
  int64_t row = blockIdx.x;
  for (int64_t i = threadIdx.x; i < from.width; i += kThreads) {
    int64_t head = (first_column + i) / head_dim;
    auto block_at = [&](int b) {
      return static_cast<const char*>(from.data) + b * from.block_bytes();
    };
    auto log_sum = [&](int b) {
      return reinterpret_cast<const float*>(block_at(b))[row * from.heads + head];
    };
    float max = -kInfinity, sum = 0, total = 0;
    for (int b = 0; b < num_blocks; ++b) max = fmaxf(max, log_sum(b));
    for (int b = 0; b < num_blocks; ++b) {
      if (log_sum(b) == -kInfinity) continue;  // of no position
      float weight = __expf(log_sum(b) - max);
      const auto* values = reinterpret_cast<const bf16*>(block_at(b) + from.values_offset());
      total += weight;
      sum += weight * widen(values[row * from.width + i]);
    }
    out[row * from.width + i] = narrow(total > 0 ? sum / total : 0.0f);
  }
}

template <int kDim>
void launch_own(Stream stream, const SplitArgs& a) {
  int64_t items = int64_t{a.num_rows} * a.num_heads;
  launch(stream, {dim3(static_cast<unsigned>((items + kWarps - 1) / kWarps)), dim3(kThreads)},
         attend_own<kDim>, a);
}

}  // namespace

void attention_over_own(Stream stream, const AttentionArgs& a) {
  require(a.log_sums != nullptr, "attention: log-sums");
  if (a.batch.num_tokens == 0) return;
  int64_t dim = a.kv.k.dim(3);
  SplitArgs args{a.out.as<bf16>(),
                 a.log_sums,
                 a.qkv.as<bf16>(),
                 a.kv.k.as<bf16>(),
                 a.kv.v.as<bf16>(),
                 a.batch.positions,
                 a.batch.slots,
                 a.batch.page_table,
                 a.batch.page_table_stride,
                 a.batch.num_tokens,
                 a.num_heads,
                 a.num_kv_heads,
                 static_cast<int>(a.kv.page_size()),
                 a.kv.split,
                 scale_log2(dim)};
  dim == 128 ? launch_own<128>(stream, args) : launch_own<64>(stream, args);
}

void pack_attention(Stream stream, const PackAttentionArgs& a) {
  require(a.out.dim(0) == a.to.rows && a.out.dim(1) == a.num_blocks / a.copies * a.to.width,
          "pack_attention: shapes");
  if (a.out.empty()) return;
  dim3 grid(static_cast<unsigned>(a.to.rows), static_cast<unsigned>(a.num_blocks));
  launch(stream, {grid, dim3(kThreads)}, pack_rows, a.to, a.copies, a.out.as<bf16>(), a.out.dim(1),
         a.log_sums);
}

void merge_attention(Stream stream, const MergeAttentionArgs& a) {
  require(a.out.dim(0) == a.from.rows && a.out.dim(1) == a.from.width, "merge_attention: shapes");
  if (a.out.empty()) return;
  launch(stream, {dim3(static_cast<unsigned>(a.from.rows)), dim3(kThreads)}, merge_rows,
         a.out.as<bf16>(), a.from, a.num_blocks, a.first_column, a.head_dim);
}

}  // namespace ll::cuda
