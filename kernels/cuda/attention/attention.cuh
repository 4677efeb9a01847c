#pragma once
// What the attention kernels share.
#include <cuda.h>

#include "kernels/cuda/attention/attention_plan.cuh"
#include "kernels/cuda/device/device_math.cuh"
#include "kernels/ops.h"

namespace ll::cuda {

constexpr int kMinTiles = 2;  // decode: pages a CTA gets at least

// Boxes of 64 positions times 64 dims of one head; row (page * KH + head) * 64 + position.
CUtensorMap kv_map(TensorView pool);
// Boxes of 64 dims times `heads` times `tokens` of the query heads.
CUtensorMap query_map(const AttentionArgs& a, int heads, int tokens);

// softmax(x * scale) = exp2(x * scale_log2 - ...)
float scale_log2(int64_t head_dim);

// The rows of a.batch.chunks, and rows [0, num_decode).
void attention_prefill(Stream stream, const AttentionArgs& a);
void attention_decode(Stream stream, const AttentionArgs& a);
// All rows.
constexpr int kMostPlainDim = 1024;
void attention_plain(Stream stream, const AttentionArgs& a);

// Of zeroed_counters(): the prefill's ticket, then the decode's merges: inner nodes and groups, by
// slot of their first part; with clusters, by first cluster and head.
struct AttentionCounters {
  uint32_t ticket;
  uint32_t nodes[2 * kMaxDecodeCtas], groups[2 * kMaxDecodeCtas];
  uint32_t heads[kMaxDecodeClusters][kMaxGroup];
};
AttentionCounters* attention_counters();

constexpr float kInfinity = __builtin_inff();

// log(sum of exp(x * scale)) from the largest x and the sum of exp2((x - max) * scale_log2).
__device__ inline float log_sum(float max, float sum, float scale_log2) {
  constexpr float kLog2 = 0.69314718f;
  return sum > 0 ? (max * scale_log2 + __log2f(sum)) * kLog2 : -kInfinity;
}

// Where a row's result for one group of heads goes.
struct GroupOut {
  bf16* values;     // [group, D]
  float* log_sums;  // [group]; null: not wanted
  float scale_log2;
};

// Lines [first, last) of a tile become zero. What a page holds behind its sequence may be NaN, and
// a NaN value times a probability of zero is NaN. All 128 threads of a warpgroup take part.
__device__ inline void zero_lines(bf16* tile, int first, int last) {
  auto* vectors = reinterpret_cast<uint4*>(tile);
#pragma unroll 1
  for (int i = first * 8 + static_cast<int>(threadIdx.x % 128); i < last * 8; i += 128)
    vectors[i] = make_uint4(0, 0, 0, 0);
}

}  // namespace ll::cuda
