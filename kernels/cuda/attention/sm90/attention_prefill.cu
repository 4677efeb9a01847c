// FlashAttention for the chunks of prompts [Dao 2023; Shah et al. 2024], causal, ragged, over paged
// KV. A CTA takes tiles of 128 or 192 rows; warpgroup 0 feeds shared memory by the copy engine,
// each other warpgroup owns 64 rows and keeps two products under way: S(j + 1) = Q K^T, and O += P
// V(j) behind it, while the softmax of S(j + 1) waits only for the first; from one tile to the next
// as from block to block. A row of a tile is one query head of one token. Heads of a KV head share
// a tile (`pack` of them a token): a short chunk then fills its tiles, and wastes less above the
// diagonal.
#include "kernels/cuda/attention/sm90/attention_maps.h"
#include "kernels/cuda/attention/sm90/attention_prefill_consumer.cuh"
#include "kernels/cuda/attention/sm90/attention_sm90.h"
#include "kernels/cuda/device/cuda_device.h"
#include "kernels/cuda/device/launch.cuh"

namespace ll::cuda {
namespace {

// A tile's tokens and `pack` heads; CTAs draw them.
struct ChunkItems {
  static constexpr bool kMayBeNone = false, kLoadsEarly = false;

  const PrefillTile* tiles;
  const int32_t* page_table;  // [num_slots, stride]
  int64_t page_table_stride;
  bf16* out;        // [T, H D]
  float* log_sums;  // [T, H], or null
  uint32_t* ticket;
  int num_items, items_per_tile, pack;
  int num_heads, num_kv_heads;
  float scale_log2;
  int parts, part;  // of the positions

  __device__ int first() const { return static_cast<int>(blockIdx.x); }
  __device__ bool has(int item) const { return item < num_items; }
  // As many draws as items are made in all, so the last one sets the counter back for the next
  // layer.
  __device__ int next(int) const {
    uint32_t drawn = atomicAdd(ticket, 1u);
    if (drawn == static_cast<uint32_t>(num_items) - 1) *ticket = 0;
    return static_cast<int>(gridDim.x + drawn);
  }
  __device__ const PrefillTile* line_of(int item) const {
    return tiles + smaller(item, num_items - 1) / items_per_tile;
  }
  __device__ PrefillTile load(int item) const { return *line_of(item); }
  __device__ int num_blocks(const PrefillTile& tile) const { return tile.num_blocks; }
  __device__ PrefillWork work(const PrefillTile& tile, int item) const {
    return {tile.first_row,
            tile.num_tokens,
            tile.first_position,
            tile.kv_length,
            tile.num_blocks,
            item % items_per_tile * pack,
            item};
  }
  __device__ ItemPages pages(const PrefillTile& tile, int head) const {
    return {page_table + tile.slot * page_table_stride, max(pages_of(tile.kv_length) - 1, 0),
            num_kv_heads, head * num_kv_heads / num_heads};
  }

  // How many of the positions up to a row's own are this rank's, less one. (That a page's size is a
  // constant saves a division, and registers.)
  __device__ int last_position(const PrefillWork& work, int row) const {
    int position = work.first_position + row / pack;
    return PositionSplit{parts, part, kPagePositions}.count(position + 1) - 1;
  }
  template <class S>
  __device__ void store(const PrefillWork& work, RowPair& rows,
                        const float (&sums)[S::kHeadDim / 2]) const {
    complete_sums(rows);
    int first_row = thread_row();
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      // A row of no position, where ranks share them, is zeros.
      float inverse = rows.sum[r] > 0 ? __fdividef(1.0f, rows.sum[r]) : 0.0f;
      int row = first_row + 8 * r, token = row / pack, head = work.head + row % pack;
      if (token >= work.num_tokens) continue;
      int64_t line = int64_t{work.first_row + token} * num_heads + head;
      if (log_sums && threadIdx.x % 4 == 0)
        log_sums[line] = log_sum(rows.max[r], rows.sum[r], scale_log2);
      bf16* to = out + line * S::kHeadDim + threadIdx.x % 4 * 2;
#pragma unroll
      for (int j = 0; j < S::kHeadDim / 8; ++j)
        *reinterpret_cast<uint32_t*>(to + 8 * j) =
            pack_pair(sums[4 * j + 2 * r] * inverse, sums[4 * j + 2 * r + 1] * inverse);
    }
  }
};

template <class S>
__global__ void __launch_bounds__(S::kThreads, 1)
    prefill(const __grid_constant__ CUtensorMap q_map, const __grid_constant__ CUtensorMap k_map,
            const __grid_constant__ CUtensorMap v_map, const __grid_constant__ ChunkItems items) {
  run_items<S>(q_map, k_map, v_map, items);
}

template <class S>
void launch_prefill(Stream stream, const AttentionArgs& a) {
  constexpr size_t kShared = sizeof(PrefillShared<S>) + kSharedSlack;
  allow_shared(reinterpret_cast<const void*>(prefill<S>), kShared);
  int pack = a.num_heads / a.num_kv_heads, tokens = S::kRows / pack, tiles = 0;
  for (const Chunk& c : a.batch.chunks) tiles += num_tiles_of(c, tokens);
  int items_per_tile = a.num_heads / pack, num_items = tiles * items_per_tile;
  if (num_items == 0) return;
  ChunkItems items{.tiles = attention_plan(stream)->tiles,
                   .page_table = a.batch.page_table,
                   .page_table_stride = a.batch.page_table_stride,
                   .out = a.out.as<bf16>(),
                   .log_sums = a.log_sums,
                   .ticket = &attention_counters(stream)->ticket,
                   .num_items = num_items,
                   .items_per_tile = items_per_tile,
                   .pack = pack,
                   .num_heads = a.num_heads,
                   .num_kv_heads = a.num_kv_heads,
                   .scale_log2 = scale_log2(S::kHeadDim),
                   .parts = a.kv.split.parts,
                   .part = a.kv.split.part};
  int ctas = smaller(num_sms(), num_items);
  launch(stream, {dim3(static_cast<unsigned>(ctas)), dim3(S::kThreads), kShared}, prefill<S>,
         query_map(a, pack, tokens), kv_map(a.kv.k), kv_map(a.kv.v), items);
}

using Shape128 = PrefillShape<128, 2>;
using Shape64 = PrefillShape<64, 3>;

}  // namespace

PrefillCut prefill_cut(int head_dim) {
  return {head_dim == 128 ? Shape128::kRows : Shape64::kRows, kBlockPositions};
}

void attention_prefill(Stream stream, const AttentionArgs& a) {
  if (a.kv.k.dim(3) == 128)
    launch_prefill<Shape128>(stream, a);
  else
    launch_prefill<Shape64>(stream, a);
}

}  // namespace ll::cuda
