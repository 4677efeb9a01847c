// FlashAttention for the chunks of prompts [Dao 2023], causal, ragged, over paged KV. A block has a
// tile of 128 or 64 rows, each one query head of one token; the heads of a KV head share a tile, so
// that a short chunk fills it and little lies above the diagonal. Warps have 32 or 16 rows each and
// walk the pages from the diagonal back. With 32 rows each key and value that ldmatrix brings feeds
// two products; with 16, reading shared memory takes as long as the products do on an A100, but
// less of it is needed: 8.6, 8.9 and 12.x have little, and half as fast products or slower.
//
// No persistent blocks: the most work is first in the grid, and the two blocks of an SM fill each
// other's beginnings, ends and softmaxes.
#include "kernels/cuda/attention/sm80/attention_sm80.h"
#include "kernels/cuda/attention/sm80/prefill_pages.cuh"
#include "kernels/cuda/attention/sm80/prefill_softmax.cuh"
#include "kernels/cuda/device/launch.cuh"

namespace ll::cuda::sm80 {
namespace {

// Sums are completed, and outputs normalised, in a warp's own rows of shared memory, so that lanes
// can store 16 bytes of a row; the log-sums go out.
template <class S>
__device__ void normalise(const PrefillArgs& a, const PrefillTile& tile, int kv_head, int first_row,
                          RowSoftmax<S>& softmax, uint8_t* own) {
  int lane = threadIdx.x % 32;
#pragma unroll
  for (int m = 0; m < S::kRowTiles; ++m)
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      float& sum = softmax.sum[m][r];
      sum += __shfl_xor_sync(kFullWarp, sum, 1);
      sum += __shfl_xor_sync(kFullWarp, sum, 2);
      // A row of no position, where ranks share them, is zeros.
      float inverse = sum > 0 ? __fdividef(1.0f, sum) : 0.0f;
      int row = 16 * m + 8 * r + lane / 4;
#pragma unroll
      for (int n = 0; n < S::kHeadDim / 8; ++n) {
        const float* pair = &softmax.out[m][n][2 * r];
        *reinterpret_cast<uint32_t*>(own + HeadRows<S::kHeadDim>::offset(row, n) + lane % 4 * 4) =
            pack_pair(pair[0] * inverse, pair[1] * inverse);
      }
      TileRow at = TileRow::of(first_row + row, kv_head, a.pack);
      if (a.log_sums && lane % 4 == 0 && at.token < tile.num_tokens)
        a.log_sums[int64_t{tile.first_row + at.token} * a.num_heads + at.head] =
            log_sum(softmax.max[m][r], sum, a.scale_log2);
    }
}

// A warp's rows, from its part of shared memory.
template <class S>
__device__ void store(const PrefillArgs& a, const PrefillTile& tile, int kv_head, int first_row,
                      const uint8_t* own) {
  using Rows = HeadRows<S::kHeadDim>;
#pragma unroll 4
  for (int i = threadIdx.x % 32; i < S::kWarpRows * Rows::kChunks; i += 32) {
    int row = i / Rows::kChunks, chunk = i % Rows::kChunks;
    TileRow at = TileRow::of(first_row + row, kv_head, a.pack);
    if (at.token >= tile.num_tokens) continue;
    int64_t line = int64_t{tile.first_row + at.token} * a.num_heads + at.head;
    *reinterpret_cast<uint4*>(a.out + line * S::kHeadDim + 8 * chunk) =
        *reinterpret_cast<const uint4*>(own + Rows::offset(row, chunk));
  }
}

// The positions that a warp's rows see: all of them up to the first row's, some up to the last's.
struct SeenPositions {
  int by_first, by_any;

  __device__ SeenPositions(const PrefillArgs& a, const PrefillTile& tile, int first_row, int rows) {
    int first = first_row / a.pack;
    int last = smaller(tile.num_tokens - 1, (first_row + rows - 1) / a.pack);
    by_first = a.last_seen(tile.first_position + first);
    by_any = first < tile.num_tokens ? a.last_seen(tile.first_position + last) : -1;
  }
};

template <class S>
__global__ void __launch_bounds__(kPrefillThreads, S::kBlocks)
    prefill_tile(const __grid_constant__ PrefillArgs a) {
  wait_for_previous();
  auto& shared = *reinterpret_cast<PrefillShared<S>*>(dynamic_shared<kRowAlignment>());
  PrefillTile tile = a.tiles[blockIdx.x / a.num_kv_heads];
  int kv_head = blockIdx.x % a.num_kv_heads, first_row = threadIdx.x / 32 * S::kWarpRows;
  uint8_t* own_rows = shared.queries + first_row * HeadRows<S::kHeadDim>::kRowBytes;
  uint32_t query_address = shared_address(own_rows) + HeadRows<S::kHeadDim>::rows_first();

  PageRing<S> pages(a, tile, kv_head, shared_address(shared.slots));
  copy_queries<S>(a, tile, kv_head, shared_address(shared.queries));
  pages.fill();
  RowSoftmax<S> softmax(a, tile, first_row);
  SeenPositions seen(a, tile, first_row, S::kWarpRows);
#pragma unroll 1
  for (int block = tile.num_blocks - 1; block >= 0; --block) {
    int first = block * kPagePositions;
    bool is_seen = first <= seen.by_any;
    uint32_t keys = pages.take();
    if (block == tile.num_blocks - 1) softmax.hold_queries(query_address);
    if (is_seen) {
      softmax.multiply_keys(query_address, keys);
      if (first + kPagePositions - 1 > seen.by_first) softmax.mask(first);
      softmax.soften(a.scale_log2);
    }
    uint32_t values = pages.take();
    if (is_seen) softmax.multiply_values(values);
  }
  __syncwarp();  // the lanes have read their queries
  normalise<S>(a, tile, kv_head, first_row, softmax, own_rows);
  __syncwarp();
  store<S>(a, tile, kv_head, first_row, own_rows);
}

template <class S>
constexpr size_t kSharedBytes = sizeof(PrefillShared<S>) + shared_slack(kRowAlignment);

// The larger tile where an SM has room for two blocks of it.
using Large128 = PrefillShape<128, 2, 3, 2, false>;
using Small128 = PrefillShape<128, 1, 2, 2, true>;
using Only64 = PrefillShape<64, 2, 3, 2, true>;  // fits everywhere

bool g_has_large = false;

template <class S>
void launch_prefill(Stream stream, const AttentionArgs& a) {
  int pack = a.num_heads / a.num_kv_heads, tiles = 0;
  for (const Chunk& c : a.batch.chunks) tiles += num_tiles_of(c, S::kRows / pack);
  if (tiles == 0) return;
  PrefillArgs args{.tiles = attention_plan(stream)->tiles,
                   .page_table = a.batch.page_table,
                   .page_table_stride = a.batch.page_table_stride,
                   .qkv = a.qkv.as<bf16>(),
                   .keys = a.kv.k.as<bf16>(),
                   .values = a.kv.v.as<bf16>(),
                   .out = a.out.as<bf16>(),
                   .log_sums = a.log_sums,
                   .num_heads = a.num_heads,
                   .num_kv_heads = a.num_kv_heads,
                   .pack = pack,
                   .scale_log2 = scale_log2(S::kHeadDim),
                   .split = a.kv.split};
  dim3 grid(static_cast<unsigned>(tiles * a.num_kv_heads));
  launch(stream, {grid, dim3(kPrefillThreads), kSharedBytes<S>}, prefill_tile<S>, args);
}

template <class S>
void allow() {
  allow_blocks(reinterpret_cast<const void*>(prefill_tile<S>), kSharedBytes<S>);
}

}  // namespace

void prepare_prefill(const SharedMemory& memory) {
  g_has_large = memory.fits(kSharedBytes<Large128>, Large128::kBlocks);
  if (g_has_large)
    allow<Large128>();
  else
    allow<Small128>();
  allow<Only64>();
}

PrefillCut prefill_cut(int head_dim) {
  int rows = head_dim == 64 ? Only64::kRows : g_has_large ? Large128::kRows : Small128::kRows;
  return {rows, kPagePositions};
}

void prefill(Stream stream, const AttentionArgs& a) {
  if (a.kv.k.dim(3) == 64)
    launch_prefill<Only64>(stream, a);
  else if (g_has_large)
    launch_prefill<Large128>(stream, a);
  else
    launch_prefill<Small128>(stream, a);
}

}  // namespace ll::cuda::sm80
