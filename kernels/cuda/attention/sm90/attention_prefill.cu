// FlashAttention for the chunks of prompts [Dao 2023; Shah et al. 2024], causal, ragged, over paged
// KV. A CTA takes tiles of 128 or 192 rows; warpgroup 0 feeds shared memory by the copy engine,
// each other warpgroup owns 64 rows and keeps two products under way: S(j + 1) = Q K^T, and O += P
// V(j) behind it, while the softmax of S(j + 1) waits only for the first; from one tile to the next
// as from block to block. A row of a tile is one query head of one token. Heads of a KV head share
// a tile (`pack` of them a token): a short chunk then fills its tiles, and wastes less above the
// diagonal.
#include "kernels/cuda/attention/sm90/attention_maps.h"
#include "kernels/cuda/attention/sm90/attention_prefill_block.cuh"
#include "kernels/cuda/attention/sm90/attention_sm90.h"
#include "kernels/cuda/device/cuda_device.h"
#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/ptx/barriers.cuh"
#include "kernels/cuda/ptx/bulk_copy.cuh"
#include "kernels/cuda/ptx/portable.cuh"
#include "kernels/cuda/ptx/registers.cuh"
#include "kernels/cuda/ptx/wgmma.cuh"

namespace ll::cuda {
namespace {

struct PrefillArgs {
  const PrefillTile* tiles;
  const int32_t* page_table;  // [num_slots, stride]
  int64_t page_table_stride;
  bf16* out;        // [T, H D]
  float* log_sums;  // [T, H], or null
  uint32_t* ticket;
  int num_items, items_per_tile, pack;  // an item is a tile's tokens and `pack` heads
  int num_heads, num_kv_heads;
  float scale_log2;
  int parts, part;  // of the positions

  // How many of the positions up to the given one are this rank's. (That a page's size is a
  // constant saves a division, and registers.)
  __device__ int seen(int position) const {
    return PositionSplit{parts, part, kPagePositions}.count(position + 1);
  }
};

// What the warpgroups need to know of an item; num_blocks 0: there is none left.
struct PrefillWork {
  int first_row, num_tokens, first_position, kv_length, num_blocks, head;
};

template <class S>
struct PrefillShared {
  alignas(1024) bf16 q[2][S::kHalves][S::kRows * 64];
  alignas(1024) bf16 k[S::kStages][S::kHalves][kBlockPositions * 64];
  alignas(1024) bf16 v[S::kStages][S::kHalves][kBlockPositions * 64];
  uint64_t q_full[2], q_empty[2];
  uint64_t k_full[S::kStages], k_empty[S::kStages], v_full[S::kStages], v_empty[S::kStages];
  PrefillWork work[2];
};

constexpr int kWarpgroupBarrier = 1;  // named barriers, of each consumer warpgroup alone

template <class S>
__device__ void set_up(PrefillShared<S>& shared) {
  constexpr int kWarps = 4 * S::kConsumers;
  for (int i = 0; i < 2; ++i) {
    init_barrier(&shared.q_full[i], 1);
    init_barrier(&shared.q_empty[i], kWarps);
  }
  for (int i = 0; i < S::kStages; ++i) {
    init_barrier(&shared.k_full[i], 1);
    init_barrier(&shared.k_empty[i], kWarps);
    init_barrier(&shared.v_full[i], 1);
    init_barrier(&shared.v_empty[i], kWarps);
  }
  publish_barriers();
}

// ---- the producer: one thread

// As many draws as items are made in all, so the last one sets the counter back for the next layer.
__device__ int draw_item(const PrefillArgs& a) {
  uint32_t drawn = atomicAdd(a.ticket, 1u);
  if (drawn == static_cast<uint32_t>(a.num_items) - 1) *a.ticket = 0;
  return static_cast<int>(gridDim.x + drawn);
}

__device__ inline void prefetch_line(const void* p) {
  asm volatile("prefetch.global.L1 [%0];" ::"l"(p));
}

// Two pages of one head: a block of keys, or of values.
template <class S>
__device__ void load_block(bf16 (&to)[S::kHalves][kBlockPositions * 64], const CUtensorMap& map,
                           int2 lines, uint64_t* full) {
  arrive_expecting(full, sizeof(to));
#pragma unroll
  for (int half = 0; half < S::kHalves; ++half) {
    copy_tile(to[half], &map, half * 64, lines.x, full);
    copy_tile(to[half] + kPagePositions * 64, &map, half * 64, lines.y, full);
  }
}

// Where an item's keys and values lie.
struct ItemPages {
  const int32_t* ids;
  int last, num_kv_heads, kv_head;

  // The sequence ends in the last page; a block's second page may lie behind it, and is then loaded
  // as that one again.
  __device__ int line(int page) const {
    return (ids[smaller(page, last)] * num_kv_heads + kv_head) * kPagePositions;
  }
  __device__ int2 lines(int block) const { return {line(2 * block), line(2 * block + 1)}; }
};

// Keys go one block ahead of the values, over the items' borders too: of a block the consumers need
// them first, and give them back first.
template <class S>
__device__ void produce(PrefillShared<S>& shared, const CUtensorMap& q_map,
                        const CUtensorMap& k_map, const CUtensorMap& v_map, const PrefillArgs& a) {
  RingPosition item_ring, k_ring, v_ring;
  ItemPages pages;
  int2 block_lines;
  auto load_keys = [&](int block) {
    block_lines = pages.lines(block);
    int stage = k_ring.stage;
    wait_barrier(&shared.k_empty[stage], k_ring.parity ^ 1);
    load_block<S>(shared.k[stage], k_map, block_lines, &shared.k_full[stage]);
    k_ring.advance(S::kStages);
  };
  auto tile_of = [&](int item) -> const PrefillTile& {
    return a.tiles[smaller(item, a.num_items - 1) / a.items_per_tile];
  };
  int num_blocks = 0;
  auto begin_item = [&](int item) {
    PrefillTile tile = tile_of(item);
    num_blocks = tile.num_blocks;
    int place = item_ring.stage, head = item % a.items_per_tile * a.pack;
    wait_barrier(&shared.q_empty[place], item_ring.parity ^ 1);
    item_ring.advance(2);
    PrefillWork& work = shared.work[place];
    if (item >= a.num_items) {
      work.num_blocks = 0;
      arrive(&shared.q_full[place]);
      return;
    }
    work = {tile.first_row, tile.num_tokens, tile.first_position,
            tile.kv_length, tile.num_blocks, head};
    constexpr int kBoxLine = 128;
    int lines = S::kRows / a.pack * a.pack;
    arrive_expecting(&shared.q_full[place], static_cast<uint32_t>(S::kHalves * lines * kBoxLine));
    for (int half = 0; half < S::kHalves; ++half)
      copy_tile(shared.q[place][half], &q_map, half * 64, head, tile.first_row,
                &shared.q_full[place]);
    pages = {a.page_table + tile.slot * a.page_table_stride, max(pages_of(tile.kv_length) - 1, 0),
             a.num_kv_heads, head * a.num_kv_heads / a.num_heads};
    load_keys(tile.num_blocks - 1);
  };
  int item = static_cast<int>(blockIdx.x);
  begin_item(item);
  while (item < a.num_items) {
    int next = draw_item(a), first = num_blocks - 1;
#pragma unroll 1
    for (int j = first; j >= 0; --j, v_ring.advance(S::kStages)) {
      int2 lines = block_lines;
      if (j > 0) load_keys(j - 1);
      if (j == first) prefetch_line(&tile_of(next));  // registers would not do until its turn
      if (j == 0) begin_item(next);
      int stage = v_ring.stage;
      wait_barrier(&shared.v_empty[stage], v_ring.parity ^ 1);
      load_block<S>(shared.v[stage], v_map, lines, &shared.v_full[stage]);
    }
    item = next;
  }
}

// ---- the consumers

template <class S>
__device__ void store_rows(const PrefillArgs& a, const PrefillWork& work, RowPair& rows,
                           const float (&out)[S::kHeadDim / 2]) {
  int first_row = thread_row();
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    rows.sum[r] += __shfl_xor_sync(kFullWarp, rows.sum[r], 1);
    rows.sum[r] += __shfl_xor_sync(kFullWarp, rows.sum[r], 2);
    // A row of no position, where ranks share them, is zeros.
    float inverse = rows.sum[r] > 0 ? __fdividef(1.0f, rows.sum[r]) : 0.0f;
    int row = first_row + 8 * r, token = row / a.pack, head = work.head + row % a.pack;
    if (token >= work.num_tokens) continue;
    int64_t line = int64_t{work.first_row + token} * a.num_heads + head;
    if (a.log_sums && threadIdx.x % 4 == 0)
      a.log_sums[line] = log_sum(rows.max[r], rows.sum[r], a.scale_log2);
    bf16* to = a.out + line * S::kHeadDim + threadIdx.x % 4 * 2;
#pragma unroll
    for (int j = 0; j < S::kHeadDim / 8; ++j)
      *reinterpret_cast<uint32_t*>(to + 8 * j) =
          pack_pair(out[4 * j + 2 * r] * inverse, out[4 * j + 2 * r + 1] * inverse);
  }
}

template <class S>
__device__ void consume(PrefillShared<S>& shared, const PrefillArgs& a) {
  int warpgroup = static_cast<int>(threadIdx.x) / 128 - 1, lane = threadIdx.x % 32;
  auto release = [&](uint64_t* empty) {
    if (lane == 0) arrive(empty);
  };
  RingPosition item_ring, k_ring, v_ring;
  float out[S::kHeadDim / 2] = {}, scores[64], correction[2];
  uint32_t p[32];
  RowPair rows;
  auto begin_rows = [&](const PrefillWork& work) {
    for (int r = 0; r < 2; ++r) {
      rows.max[r] = -kInfinity;
      rows.sum[r] = 0;
      rows.position[r] = a.seen(work.first_position + (thread_row() + 8 * r) / a.pack) - 1;
    }
  };
  auto issue_keys = [&] {
    begin_products();
    multiply_keys<S>(scores, shared.q[item_ring.stage][0] + warpgroup * 64 * 64,
                     shared.k[k_ring.stage][0]);
    commit_products();
  };
  auto issue_values = [&] {
    wait_barrier(&shared.v_full[v_ring.stage], v_ring.parity);
    begin_products();
    multiply_values<S>(out, p, shared.v[v_ring.stage][0]);
    commit_products();
  };
  auto settle_keys = [&] {
    settle(scores);
    release(&shared.k_empty[k_ring.stage]);
    k_ring.advance(S::kStages);
  };
  auto settle_values = [&] {
    wait_products<0>();
    settle(out);
    release(&shared.v_empty[v_ring.stage]);
    v_ring.advance(S::kStages);
  };
  // What lies behind the sequence, of the values at the diagonal; each warpgroup by itself: zeros
  // over zeros do no harm.
  auto zero_behind = [&](const PrefillWork& work) {
    int valid = work.kv_length - (work.num_blocks - 1) * kBlockPositions;
    if (valid >= kBlockPositions) return;
    wait_barrier(&shared.v_full[v_ring.stage], v_ring.parity);
    for (int half = 0; half < S::kHalves; ++half)
      zero_lines(shared.v[v_ring.stage][half], max(valid, 0), kBlockPositions);
    fence_shared_accesses();
    sync_some(kWarpgroupBarrier + warpgroup, 128);
  };

  wait_barrier(&shared.q_full[0], 0);
  begin_rows(shared.work[0]);
  wait_barrier(&shared.k_full[0], 0);
  issue_keys();
  wait_products<0>();
  settle_keys();
  mask_scores(scores, rows, (shared.work[0].num_blocks - 1) * kBlockPositions + lane % 4 * 2);
  soften_scores(scores, rows, correction, a.scale_log2);
  round_scores(p, scores);
  zero_behind(shared.work[0]);
  int block = shared.work[0].num_blocks - 1;
  auto wait_for_keys = [&] {
    if (block > 0) wait_barrier(&shared.k_full[k_ring.stage], k_ring.parity);
  };
  wait_for_keys();
  for (;;) {
    const PrefillWork& work = shared.work[item_ring.stage];  // there are no registers to spare
    // From the diagonal back, so that only an item's first one or two blocks need a mask.
    while (--block >= 0) {
      issue_keys();
      issue_values();
      wait_products<1>();
      settle_keys();
      if ((block + 1) * kBlockPositions > rows.position[0] + 1)
        mask_scores(scores, rows, block * kBlockPositions + lane % 4 * 2);
      soften_scores(scores, rows, correction, a.scale_log2);
      settle(scores);
      wait_for_keys();  // its branches keep the compiler from waiting for O above the softmax
      settle_values();
#pragma unroll
      for (int i = 0; i < S::kHeadDim / 2; ++i) out[i] *= correction[i / 2 % 2];
      round_scores(p, scores);
    }

    // The next item's first block beside this one's last, so that no product waits for an item's
    // first softmax or for the stores.
    item_ring.advance(2);
    wait_barrier(&shared.q_full[item_ring.stage], item_ring.parity);
    const PrefillWork& next = shared.work[item_ring.stage];
    if (next.num_blocks == 0) {
      issue_values();
      settle_values();
      store_rows<S>(a, work, rows, out);
      return;
    }
    RowPair finished = rows;
    begin_rows(next);
    wait_barrier(&shared.k_full[k_ring.stage], k_ring.parity);
    issue_keys();
    issue_values();
    wait_products<1>();
    settle_keys();
    mask_scores(scores, rows, (next.num_blocks - 1) * kBlockPositions + lane % 4 * 2);
    soften_scores(scores, rows, correction, a.scale_log2);
    settle(scores);
    block = next.num_blocks - 1;
    wait_for_keys();
    settle_values();
    round_scores(p, scores);
    store_rows<S>(a, work, finished, out);
    __syncwarp();
    release(&shared.q_empty[item_ring.stage ^ 1]);
    zero_behind(next);
#pragma unroll
    for (int i = 0; i < S::kHeadDim / 2; ++i) out[i] = 0;
  }
}

template <class S>
__global__ void __launch_bounds__(S::kThreads, 1)
    prefill(const __grid_constant__ CUtensorMap q_map, const __grid_constant__ CUtensorMap k_map,
            const __grid_constant__ CUtensorMap v_map, const __grid_constant__ PrefillArgs a) {
  auto& shared = *reinterpret_cast<PrefillShared<S>*>(dynamic_shared());
  if (threadIdx.x == 0) {
    set_up(shared);
    prefetch_map(&q_map);
    prefetch_map(&k_map);
    prefetch_map(&v_map);
  }
  __syncthreads();
  wait_for_previous();
  let_next_start();
  if (threadIdx.x < 128) {
    shrink_registers<S::kProducerRegisters>();
    if (threadIdx.x == 0) {
      fence_copy_engine();
      produce<S>(shared, q_map, k_map, v_map, a);
    }
  } else {
    grow_registers<S::kConsumerRegisters>();
    consume<S>(shared, a);
  }
}

template <class S>
void launch_prefill(Stream stream, const AttentionArgs& a) {
  constexpr size_t kShared = sizeof(PrefillShared<S>) + kSharedSlack;
  allow_shared(reinterpret_cast<const void*>(prefill<S>), kShared);
  int pack = a.num_heads / a.num_kv_heads, tokens = S::kRows / pack, tiles = 0;
  for (const Chunk& c : a.batch.chunks) tiles += num_tiles_of(c, tokens);
  int items_per_tile = a.num_heads / pack, items = tiles * items_per_tile;
  if (items == 0) return;
  PrefillArgs args{.tiles = attention_plan(stream)->tiles,
                   .page_table = a.batch.page_table,
                   .page_table_stride = a.batch.page_table_stride,
                   .out = a.out.as<bf16>(),
                   .log_sums = a.log_sums,
                   .ticket = &attention_counters(stream)->ticket,
                   .num_items = items,
                   .items_per_tile = items_per_tile,
                   .pack = pack,
                   .num_heads = a.num_heads,
                   .num_kv_heads = a.num_kv_heads,
                   .scale_log2 = scale_log2(S::kHeadDim),
                   .parts = a.kv.split.parts,
                   .part = a.kv.split.part};
  int ctas = smaller(num_sms(), items);
  launch(stream, {dim3(static_cast<unsigned>(ctas)), dim3(S::kThreads), kShared}, prefill<S>,
         query_map(a, pack, tokens), kv_map(a.kv.k), kv_map(a.kv.v), args);
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
