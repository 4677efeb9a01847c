#pragma once
// The producer of a CTA whose rows stand in tiles: one thread, which brings an item's queries and
// the blocks of its keys and values by the copy engine. A kernel says what its items are:
//
//   int first() const, next(int item) const   this CTA's
//   bool has(int item) const                  whether it is one; the one behind the last is not
//   int pack                                  heads of a KV head, which share a tile
//   bool kLoadsEarly                          whether no keys or values are the step's own, so that
//                                             the first ones are loaded before the kernel before
//                                             this one is complete
//   load(item) const                          its entry in a list, which is at line_of(item); any
//                                             of the item behind the last
//   int num_blocks(entry) const               of positions
//   PrefillWork work(entry, item) const
//   ItemPages pages(entry, head) const
#include "kernels/cuda/attention/sm90/attention_prefill_block.cuh"
#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/ptx/barriers.cuh"
#include "kernels/cuda/ptx/bulk_copy.cuh"

namespace ll::cuda {

// What the warpgroups need to know of an item; num_blocks 0: there is none left.
struct PrefillWork {
  int first_row, num_tokens, first_position, kv_length, num_blocks, head;
  int item;
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
template <class S, class Items>
__device__ void produce(PrefillShared<S>& shared, const CUtensorMap& q_map,
                        const CUtensorMap& k_map, const CUtensorMap& v_map, const Items& items) {
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
  auto load_queries = [&](const PrefillWork& work, int place) {
    constexpr int kBoxLine = 128;
    int lines = S::kRows / items.pack * items.pack;
    arrive_expecting(&shared.q_full[place], static_cast<uint32_t>(S::kHalves * lines * kBoxLine));
    for (int half = 0; half < S::kHalves; ++half)
      copy_tile(shared.q[place][half], &q_map, half * 64, work.head, work.first_row,
                &shared.q_full[place]);
  };
  int num_blocks = 0;
  bool is_first = Items::kLoadsEarly;
  auto begin_item = [&](int item) {
    auto entry = items.load(item);
    num_blocks = items.num_blocks(entry);
    int place = item_ring.stage;
    wait_barrier(&shared.q_empty[place], item_ring.parity ^ 1);
    item_ring.advance(2);
    PrefillWork& work = shared.work[place];
    if (!items.has(item)) {
      work.num_blocks = 0;
      arrive(&shared.q_full[place]);
      return;
    }
    PrefillWork now = items.work(entry, item);
    work = now;
    if (!is_first) load_queries(now, place);
    pages = items.pages(entry, now.head);
    load_keys(num_blocks - 1);
    if (!is_first) return;
    is_first = false;
    wait_for_previous();
    fence_global_copies();
    load_queries(now, place);
  };
  int item = items.first();
  begin_item(item);
  while (items.has(item)) {
    int next = items.next(item), first = num_blocks - 1;
#pragma unroll 1
    for (int j = first; j >= 0; --j, v_ring.advance(S::kStages)) {
      int2 lines = block_lines;
      if (j > 0) load_keys(j - 1);
      if (j == first) prefetch_line(items.line_of(next));  // registers would not do until its turn
      if (j == 0) begin_item(next);
      int stage = v_ring.stage;
      wait_barrier(&shared.v_empty[stage], v_ring.parity ^ 1);
      load_block<S>(shared.v[stage], v_map, lines, &shared.v_full[stage]);
    }
    item = next;
  }
}

}  // namespace ll::cuda
