#pragma once
// What the decode kernel and the prefill kernel share.
#include "kernels/cuda/attention/attention.cuh"
#include "kernels/cuda/attention/attention_plan.cuh"

namespace ll::cuda {

// The zeroed counters of the workspace: the prefill's ticket, then the decode's merges: inner nodes
// and groups, by slot of their first part.
struct AttentionCounters {
  uint32_t ticket;
  uint32_t nodes[2 * kMaxDecodeCtas], groups[2 * kMaxDecodeCtas];
};
AttentionCounters* attention_counters(Stream stream);

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
