#pragma once
// Sizes of a prefill kernel, its arguments, and what its block has in shared memory.
#include "kernels/cuda/attention/attention_outputs.cuh"
#include "kernels/cuda/attention/sm80/head_rows.cuh"

namespace ll::cuda::sm80 {

constexpr int kPrefillWarps = 4, kPrefillThreads = 32 * kPrefillWarps;

struct PrefillArgs {
  const PrefillTile* tiles;
  const int32_t* page_table;
  int64_t page_table_stride;
  const bf16 *qkv, *keys, *values;    // [T, (H + 2 KH) D]; pages [.., KH, kPagePositions, D]
  bf16* out;                          // [T, H D]
  float* log_sums;                    // [T, H], or null
  int num_heads, num_kv_heads, pack;  // pack: heads of a KV head
  float scale_log2;
  PositionSplit split;

  // The last of this rank's positions that the given one sees; -1: none.
  __device__ int last_seen(int position) const { return split.count(position + 1) - 1; }
};

// kTilesOf16 times 16 rows a warp, kNumSlots pages of keys or values under way or in use,
// kNumBlocks blocks an SM. Queries stay in registers where there are enough, else they are read
// again for every page.
template <int kDim, int kTilesOf16, int kNumSlots, int kNumBlocks, bool kHolds>
struct PrefillShape {
  static constexpr int kHeadDim = kDim, kRowTiles = kTilesOf16, kSlots = kNumSlots;
  static constexpr int kBlocks = kNumBlocks;
  static constexpr int kWarpRows = 16 * kRowTiles, kRows = kPrefillWarps * kWarpRows;
  static constexpr int kSteps = kHeadDim / 16;
  static constexpr int kSlotBytes = kPagePositions * kHeadDim * 2;
  static constexpr bool kHoldsQueries = kHolds;
};

template <class S>
struct PrefillShared {
  uint8_t queries[S::kRows * S::kHeadDim * 2];  // and the output at the end
  uint8_t slots[S::kSlots][S::kSlotBytes];      // keys and values in turns
};

// Row `row` of a tile.
struct TileRow {
  int token, head;

  __device__ static TileRow of(int row, int kv_head, int pack) {
    return {row / pack, kv_head * pack + row % pack};
  }
};

}  // namespace ll::cuda::sm80
