#pragma once
// The producer of a decode CTA: one warp, in step, that streams pages by the copy engine; its lanes
// hold the places of 32 pages.
#include "kernels/cuda/attention/sm90/attention_decode_stage.cuh"
#include "kernels/cuda/attention/sm90/prefix_plan.cuh"
#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/ptx/barriers.cuh"
#include "kernels/cuda/ptx/bulk_copy.cuh"

namespace ll::cuda {

struct DecodeArgs {
  const DecodeStart* starts;
  const int32_t *positions, *slots, *page_table;
  int64_t page_table_stride;
  bf16* out;             // [T, H D]
  float* log_sums;       // [T, H], or null
  void *parts, *merged;  // PartsMemory's
  void* cluster_parts;   // ClusterParts[kMaxDecodeClusters][kMaxGroup], by first cluster
  ClusterCounters* counters;
  int num_decode, num_heads, num_kv_heads;
  float scale_log2;
  PositionSplit split;
  const PrefixPlan* prefixes;  // and their parts; null where rows are read whole
  const void* prefix_parts;
  int prefix_tokens;  // of a tile

  __device__ int length_of(int row) const { return split.count(__ldcg(positions + row) + 1); }
  template <class S>
  __device__ int first_page_of(int row) const {
    return S::kHasPrefixes ? __ldcg(prefixes->first_pages + row) : 0;
  }
};

// Where pages of one KV head begin in the pools.
struct PageLines {
  int line;  // of page first + lane
  int first;

  __device__ int operator[](int page) const { return __shfl_sync(kFullWarp, line, page - first); }
  __device__ bool has(int page) const { return page - first < 32; }
  __device__ static PageLines load(const int32_t* table, int page, int num_pages, int num_kv_heads,
                                   int kv_head) {
    int mine = page + static_cast<int>(threadIdx.x % 32);
    int id = mine < num_pages ? __ldcg(table + mine) : 0;
    return {(id * num_kv_heads + kv_head) * kPagePositions, page};
  }
};

template <class S>
__device__ void load_stage(DecodeShared<S>& shared, const CUtensorMap& k_map,
                           const CUtensorMap& v_map, const int (&lines)[S::kStagePages], int pages,
                           int stage) {
  arrive_expecting(&shared.full[stage], static_cast<uint32_t>(pages * 2 * S::kPageBytes));
#pragma unroll
  for (int i = 0; i < S::kStagePages; ++i)
    if (i < pages)
#pragma unroll
      for (int half = 0; half < S::kHalves; ++half) {
        copy_tile(shared.k[stage][i][half], &k_map, half * 64, lines[i], &shared.full[stage]);
        copy_tile(shared.v[stage][i][half], &v_map, half * 64, lines[i], &shared.full[stage]);
      }
}

template <class S>
__device__ void load_query(DecodeShared<S>& shared, const CUtensorMap& q_map,
                           const Segment& segment, int group, int place) {
  uint64_t* full = &shared.query_full[place];
  shared.segments[place] = segment;
  arrive_expecting(full, sizeof(shared.q[0]));
  for (int half = 0; half < S::kHalves; ++half)
    copy_tile(shared.q[place][half], &q_map, half * 64, segment.kv_head * group, segment.row, full);
}

// Reads by way of the L2 cache what the plan's kernel wrote, as it may come before
// wait_for_previous; `word` is the lane's of the CTA's start.
template <class S>
__device__ void produce(DecodeShared<S>& shared, const CUtensorMap& q_map, const CUtensorMap& k_map,
                        const CUtensorMap& v_map, const DecodeArgs& a, int word) {
  int lane = threadIdx.x % 32;
  auto field = [&](size_t offset) {
    return __shfl_sync(kFullWarp, word, static_cast<int>(offset / 4));
  };
  int tiles_left = field(offsetof(DecodeStart, num_tiles));
  int row = field(offsetof(DecodeStart, row)), kv_head = field(offsetof(DecodeStart, kv_head));
  int page = field(offsetof(DecodeStart, page)), length = field(offsetof(DecodeStart, kv_length));
  int first_page = tiles_left > 0 ? a.template first_page_of<S>(row) : 0;
  const int32_t* table = a.page_table + field(offsetof(DecodeStart, slot)) * a.page_table_stride;
  PageLines places{TilePlace::line(word),
                   page - static_cast<int>(offsetof(DecodeStart, places) / 4)};
  int group = a.num_heads / a.num_kv_heads;
  RingPosition ring, queries;
  int4 parts{};  // RowParts of the segment
  auto load_parts = [&] {
    if constexpr (S::kHasPrefixes)
      parts =
          __ldcg(reinterpret_cast<const int4*>(a.prefixes->rows + row * a.num_kv_heads + kv_head));
  };
  if (tiles_left > 0) load_parts();
  bool is_early = true;
  while (tiles_left > 0) {
    int num_pages = smaller(tiles_left, pages_of(length) - page);
    // A row's last page gets this step's position.
    int num_early = is_early ? smaller(num_pages, pages_of(length) - page - 1) : 0;
    auto begin_segment = [&] {
      if (is_early) {
        wait_for_previous();
        fence_global_copies();
        is_early = false;
      }
      if (lane > 0) return;
      wait_barrier(&shared.query_empty[queries.stage], queries.parity ^ 1);
      int row_pages = pages_of(length) - first_page;
      if constexpr (S::kHasPrefixes)
        shared.prefixes[queries.stage] = {parts.x, parts.y, parts.z, parts.w};
      load_query(shared, q_map, {row, kv_head, page, num_pages, length, row_pages}, group,
                 queries.stage);
    };
    bool has_begun = false;
    // Where more comes than the ring holds, early loads take turns: the kernel before still merges,
    // and its few loads would queue behind these.
    bool is_gentle = S::kHasClusters && num_pages > S::kStages * S::kStagePages;
#pragma unroll 1
    for (int done = 0; done < num_pages; done += S::kStagePages, ring.advance(S::kStages)) {
      int pages = smaller(S::kStagePages, num_pages - done), lines[S::kStagePages];
      bool fits = done + pages <= num_early && done < S::kStages * S::kStagePages;
      if (!has_begun && !fits) begin_segment(), has_begun = true;
#pragma unroll
      for (int i = 0; i < S::kStagePages; ++i) {
        int next = page + smaller(done + i, num_pages - 1);
        if (!places.has(next))
          places = PageLines::load(table, next, pages_of(length), a.num_kv_heads, kv_head);
        lines[i] = places[next];
      }
      if (lane == 0) {
        wait_barrier(&shared.empty[ring.stage], ring.parity ^ 1);
        if (is_gentle && is_early && done > 0) wait_barrier(&shared.full[ring.stage - 1], 0);
        load_stage<S>(shared, k_map, v_map, lines, pages, ring.stage);
      }
    }
    if (!has_begun) begin_segment();
    queries.advance(S::kQueries);
    tiles_left -= num_pages;
    if (tiles_left == 0) break;
    if (++kv_head == a.num_kv_heads) {
      kv_head = 0;
      do length = a.length_of(++row), first_page = a.template first_page_of<S>(row);
      while (pages_of(length) == first_page);
      table = a.page_table + __ldcg(a.slots + row) * a.page_table_stride;
    }
    page = first_page;
    places = PageLines::load(table, page, pages_of(length), a.num_kv_heads, kv_head);
    load_parts();
  }
  if (lane == 0) {
    wait_barrier(&shared.query_empty[queries.stage], queries.parity ^ 1);
    shared.segments[queries.stage].num_pages = 0;
    arrive(&shared.query_full[queries.stage]);
  }
}

}  // namespace ll::cuda
