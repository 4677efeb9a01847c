// Flash-decoding over paged KV [Dao et al. 2023]: one query token a sequence, the heads of a KV
// head together. A CTA takes an equal run of the flat list of (row, KV head, page) and walks it
// group by group. A producer warp streams pages by the copy engine; one warpgroup computes
// transposed products, so that 64 positions (then 64 dims) are wgmma's M and the group's heads its
// N = 8: S^T = K Q^T, O^T = V^T P^T. Groups that are cut leave parts; the last CTA to finish one
// merges them.
//
// What earlier steps have stored is loaded before the step's queries, keys and values are there, as
// far as the ring goes.
#include "kernels/cuda/attention.cuh"
#include "kernels/cuda/attention_decode_stage.cuh"
#include "kernels/cuda/attention_merge.cuh"
#include "kernels/cuda/cuda_device.h"
#include "kernels/cuda/hopper.cuh"
#include "kernels/cuda/launch.cuh"

namespace ll::cuda {
namespace {

constexpr int kFanIn = 16;  // parts one CTA merges

struct DecodeArgs {
  const DecodeStart* starts;
  const int32_t *positions, *slots, *page_table;
  int64_t page_table_stride;
  bf16* out;             // [T, H D]
  float* log_sums;       // [T, H], or null
  void *parts, *merged;  // Part[2 * CTAs] each: what CTAs leave, what inner merges make of it
  AttentionCounters* counters;
  int num_decode, num_heads, num_kv_heads;
  float scale_log2;
  PositionSplit split;

  __device__ int length_of(int row) const { return split.count(__ldcg(positions + row) + 1); }
};

template <class S>
__device__ void set_up(DecodeShared<S>& shared) {
  for (int i = 0; i < S::kStages; ++i) {
    init_barrier(&shared.full[i], 1);
    init_barrier(&shared.empty[i], kDecodeConsumers / 32);
  }
  for (int i = 0; i < kQueries; ++i) {
    init_barrier(&shared.query_full[i], 1);
    init_barrier(&shared.query_empty[i], kDecodeConsumers / 32);
  }
  publish_barriers();
}

// ---- the producer: one warp, in step; its lanes hold 32 page ids

struct PageIds {
  int id;  // of page first + lane
  int first;

  __device__ int operator[](int page) const { return __shfl_sync(kFullWarp, id, page - first); }
  __device__ bool has(int page) const { return page - first < 32; }
  __device__ static PageIds load(const int32_t* table, int page, int num_pages) {
    int mine = page + static_cast<int>(threadIdx.x % 32);
    return {mine < num_pages ? __ldcg(table + mine) : 0, page};
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
// wait_for_previous.
template <class S>
__device__ void produce(DecodeShared<S>& shared, const CUtensorMap& q_map, const CUtensorMap& k_map,
                        const CUtensorMap& v_map, const DecodeArgs& a) {
  const auto* start = reinterpret_cast<const int32_t*>(a.starts + blockIdx.x);
  int lane = threadIdx.x % 32, word = __ldcg(start + lane);
  auto field = [&](size_t offset) {
    return __shfl_sync(kFullWarp, word, static_cast<int>(offset / 4));
  };
  int tiles_left = field(offsetof(DecodeStart, num_tiles));
  int row = field(offsetof(DecodeStart, row)), kv_head = field(offsetof(DecodeStart, kv_head));
  int page = field(offsetof(DecodeStart, page)), length = field(offsetof(DecodeStart, kv_length));
  const int32_t* table = a.page_table + field(offsetof(DecodeStart, slot)) * a.page_table_stride;
  PageIds ids{word, page - static_cast<int>(offsetof(DecodeStart, pages) / 4)};
  int group = a.num_heads / a.num_kv_heads;
  RingPosition ring, queries;
  bool is_early = true;
  while (tiles_left > 0) {
    int num_pages = smaller(tiles_left, pages_of(length) - page);
    // A row's last page gets this step's position.
    int num_early = is_early ? smaller(num_pages, pages_of(length) - page - 1) : 0;
    auto begin_segment = [&] {
      if (is_early) {
        wait_for_previous();
        fence_copy_engine();
        is_early = false;
      }
      if (lane > 0) return;
      wait_barrier(&shared.query_empty[queries.stage], queries.parity ^ 1);
      load_query(shared, q_map, {row, kv_head, page, num_pages, length}, group, queries.stage);
    };
    bool has_begun = false;
    for (int done = 0; done < num_pages; done += S::kStagePages, ring.advance(S::kStages)) {
      int pages = smaller(S::kStagePages, num_pages - done), lines[S::kStagePages];
      bool fits = done + pages <= num_early && done < S::kStages * S::kStagePages;
      if (!has_begun && !fits) begin_segment(), has_begun = true;
#pragma unroll
      for (int i = 0; i < S::kStagePages; ++i) {
        int next = page + smaller(done + i, num_pages - 1);
        if (!ids.has(next)) ids = PageIds::load(table, next, pages_of(length));
        lines[i] = (ids[next] * a.num_kv_heads + kv_head) * kPagePositions;
      }
      if (lane == 0) {
        wait_barrier(&shared.empty[ring.stage], ring.parity ^ 1);
        load_stage<S>(shared, k_map, v_map, lines, pages, ring.stage);
      }
    }
    if (!has_begun) begin_segment();
    queries.advance(kQueries);
    tiles_left -= num_pages;
    if (tiles_left == 0) break;
    page = 0;
    if (++kv_head == a.num_kv_heads) {
      kv_head = 0;
      do length = a.length_of(++row);
      while (length == 0);
      table = a.page_table + __ldcg(a.slots + row) * a.page_table_stride;
    }
    ids = PageIds::load(table, 0, pages_of(length));
  }
  if (lane == 0) {
    wait_barrier(&shared.query_empty[queries.stage], queries.parity ^ 1);
    shared.segments[queries.stage].num_pages = 0;
    arrive(&shared.query_full[queries.stage]);
  }
}

// ---- merging

// Whether all other `count - 1` CTAs of a merge have come here before; what they stored is then
// visible. Leaves the counter zero.
template <class S>
__device__ bool come_last(DecodeShared<S>& shared, uint32_t* counter, int count) {
  sync_consumers();
  if (threadIdx.x == 0) {
    shared.is_last = add_ordered(counter, 1) == static_cast<uint32_t>(count - 1);
    if (shared.is_last) *counter = 0;
  }
  sync_consumers();
  return shared.is_last;
}

// After this CTA's part of a group is stored.
template <class S>
__device__ void merge(DecodeShared<S>& shared, const DecodeArgs& a, const GroupParts& g,
                      const GroupOut& out, int group) {
  using Own = Merged<S::kHeadDim>;
  auto* parts = static_cast<Part<S::kHeadDim>*>(a.parts);
  auto* merged = static_cast<Part<S::kHeadDim>*>(a.merged);
  bool has_head = Own::head() < group;
  NodeCut nodes{g.num_parts, 1};
  int first = 0, count = g.num_parts;
  if (g.num_parts > kFanIn) {
    nodes = merge_nodes(g.num_parts, kFanIn);
    int node = nodes.piece_of(static_cast<int>(blockIdx.x) - g.first_cta);
    first = nodes.begin(node);
    count = nodes.size(node);
  }
  int slot = g.slot_of(first);
  if (!come_last(shared, &a.counters->nodes[slot], count)) return;
  Own own;
  if (has_head) own.fold(count, a.scale_log2, [&](int i) { return parts + g.slot_of(first + i); });
  if (nodes.pieces > 1) {
    if (has_head) own.store_part(merged[slot]);
    if (!come_last(shared, &a.counters->groups[g.first_slot], nodes.pieces)) return;
    own = Own();
    auto node_at = [&](int i) { return merged + g.slot_of(nodes.begin(i)); };
    if (has_head) own.fold(nodes.pieces, a.scale_log2, node_at);
  }
  if (has_head) own.store_whole(out);
}

// Rows none of whose positions is this rank's have no tiles, so that nobody else stores them.
template <class S>
__device__ void store_nothings(const DecodeArgs& a) {
  for (int row = static_cast<int>(blockIdx.x); row < a.num_decode; row += gridDim.x) {
    if (a.positions[row] < 0 || a.length_of(row) > 0) continue;
    int64_t first = int64_t{row} * a.num_heads;
    for (int i = threadIdx.x; i < a.num_heads; i += kDecodeConsumers)
      a.log_sums[first + i] = -kInfinity;
    for (int i = threadIdx.x; i < a.num_heads * S::kHeadDim; i += kDecodeConsumers)
      a.out[first * S::kHeadDim + i] = narrow(0.0f);
  }
}

template <class S>
__device__ void consume(DecodeShared<S>& shared, const DecodeArgs& a) {
  int lane = threadIdx.x % 32, group = a.num_heads / a.num_kv_heads;
  GroupParts cut_group = a.starts[blockIdx.x].head, tail = a.starts[blockIdx.x].tail;
  RingPosition ring, queries;
  if (a.split.parts > 1) store_nothings<S>(a);
  for (;; queries.advance(kQueries)) {
    wait_barrier(&shared.query_full[queries.stage], queries.parity);
    Segment segment = shared.segments[queries.stage];
    if (segment.num_pages == 0) return;
    Running<S> running;
    for (int done = 0; done < segment.num_pages; done += S::kStagePages, ring.advance(S::kStages)) {
      int loaded = smaller(S::kPositions, (segment.num_pages - done) * kPagePositions);
      int valid = smaller(loaded, segment.kv_length - (segment.first_page + done) * kPagePositions);
      wait_barrier(&shared.full[ring.stage], ring.parity);
      attend_stage<S>(shared, running, ring.stage, queries.stage, valid, a.scale_log2);
      if (lane == 0) arrive(&shared.empty[ring.stage]);
    }
    if (lane == 0) arrive(&shared.query_empty[queries.stage]);
    complete_sums<S>(shared, running);
    int64_t first_head = int64_t{segment.row} * a.num_heads + segment.kv_head * group;
    GroupOut out{a.out + first_head * S::kHeadDim, a.log_sums ? a.log_sums + first_head : nullptr,
                 a.scale_log2};
    if (segment.num_pages == pages_of(segment.kv_length)) {
      store_whole<S>(running, out, group);
    } else {
      int slot = cut_group.slot_of(static_cast<int>(blockIdx.x) - cut_group.first_cta);
      store_part<S>(running, static_cast<Part<S::kHeadDim>*>(a.parts)[slot], group);
      merge<S>(shared, a, cut_group, out, group);
    }
    cut_group = tail;  // only the first group and the last can be cut
  }
}

template <class S>
__global__ void __launch_bounds__(kDecodeThreads, 2)
    decode(const __grid_constant__ CUtensorMap q_map, const __grid_constant__ CUtensorMap k_map,
           const __grid_constant__ CUtensorMap v_map, const __grid_constant__ DecodeArgs a) {
  auto& shared = *reinterpret_cast<DecodeShared<S>*>(dynamic_shared());
  if (threadIdx.x == 0) set_up(shared);
  if (threadIdx.x == kDecodeConsumers) {
    prefetch_map(&q_map);
    prefetch_map(&k_map);
    prefetch_map(&v_map);
  }
  __syncthreads();
  let_next_start();
  if (threadIdx.x >= kDecodeConsumers) {
    produce<S>(shared, q_map, k_map, v_map, a);
  } else {
    wait_for_previous();
    consume<S>(shared, a);
  }
}

template <class S>
void launch_decode(Stream stream, const AttentionArgs& a) {
  constexpr size_t kShared = sizeof(DecodeShared<S>) + kSharedSlack;
  constexpr size_t kPartsBytes = 2 * kMaxDecodeCtas * sizeof(Part<S::kHeadDim>);
  static_assert(2 * (kShared + 1024) <= (228 << 10) && 2 * kPartsBytes <= kScratchBytes);
  static const bool ready = [] {
    check(cudaFuncSetAttribute(decode<S>, cudaFuncAttributeMaxDynamicSharedMemorySize, kShared));
    return true;
  }();
  static_cast<void>(ready);
  auto* parts = static_cast<char*>(scratch().data);
  DecodeArgs args{attention_plan_memory()->starts,
                  a.batch.positions,
                  a.batch.slots,
                  a.batch.page_table,
                  a.batch.page_table_stride,
                  a.out.as<bf16>(),
                  a.log_sums,
                  parts,
                  parts + kPartsBytes,
                  attention_counters(),
                  a.batch.num_decode,
                  a.num_heads,
                  a.num_kv_heads,
                  scale_log2(S::kHeadDim),
                  a.kv.split};
  launch(stream, {dim3(static_cast<unsigned>(decode_grid())), dim3(kDecodeThreads), kShared},
         decode<S>, query_map(a, kMaxGroup, 1), kv_map(a.kv.k), kv_map(a.kv.v), args);
}

}  // namespace

void attention_decode(Stream stream, const AttentionArgs& a) {
  if (a.kv.k.dim(3) == 128)
    launch_decode<DecodeShape<128, 1>>(stream, a);
  else
    launch_decode<DecodeShape<64, 2>>(stream, a);
}

}  // namespace ll::cuda
