#pragma once
// Sizes of the decode kernel and what its block has in shared memory.
#include "kernels/cuda/attention/attention_plan.cuh"
#include "kernels/cuda/attention/sm80/head_rows.cuh"

namespace ll::cuda::sm80 {

constexpr int kDecodeWarps = 4, kDecodeThreads = 32 * kDecodeWarps;
constexpr int kUnit = kPagePositions / kDecodeWarps;  // positions of a page that a warp has
static_assert(kUnit == 16);                           // the matrix product's M

// Up to kMostBlocks share an SM, as its shared memory allows; where there would be fewer than
// kManyTiles for each, kFewBlocks: fewer parts to merge save more then than another block brings.
//
// Each warp has a ring of kSlots units, of keys and of values in turns. Few are enough: what a
// GPU's memory needs under way (its rate times its latency) is, per SM, 6 KB of an RTX 4090, 13 KB
// of an A100, 29 KB of an H200, 50 KB of a B200.
template <int kDim, int kNumSlots, int kFew, int kMost, int kMany>
struct DecodeShape {
  static constexpr int kHeadDim = kDim, kSlots = kNumSlots;
  static constexpr int kFewBlocks = kFew, kMostBlocks = kMost, kManyTiles = kMany;
  static constexpr int kUnitBytes = kUnit * kHeadDim * 2;
};

template <class S>
struct DecodeShared {
  uint8_t ring[kDecodeWarps][S::kSlots][S::kUnitBytes];
  // For the sum over the warps. The padding keeps a quad's heads in different banks.
  alignas(16) float out[kDecodeWarps][kMaxGroup][S::kHeadDim + 4];
  float2 max_and_sum[kDecodeWarps][kMaxGroup];
  bool is_last, is_last_of_head;
};

}  // namespace ll::cuda::sm80
