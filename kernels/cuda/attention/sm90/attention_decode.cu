// Flash-decoding over paged KV [Dao et al. 2023]: one query token a sequence, the heads of a KV
// head together. A CTA takes an equal run of the flat list of (row, KV head, page) and walks it
// group by group. A producer warp streams pages by the copy engine; one warpgroup computes
// transposed products, so that 64 positions (then 64 dims) are wgmma's M and the group's heads its
// N = 8: S^T = K Q^T, O^T = V^T P^T. Groups that are cut leave parts; the last CTA to finish one
// merges them, or the last cluster does.
//
// What earlier steps have stored is loaded before the step's queries, keys and values are there, as
// far as the ring goes.
#include "kernels/cuda/attention/attention_merge.cuh"
#include "kernels/cuda/attention/sm90/attention_decode_producer.cuh"
#include "kernels/cuda/attention/sm90/attention_decode_stage.cuh"
#include "kernels/cuda/attention/sm90/attention_maps.h"
#include "kernels/cuda/attention/sm90/attention_sm90.h"
#include "kernels/cuda/attention/sm90/prefix_parts.cuh"
#include "kernels/cuda/device/cuda_device.h"
#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/device/workspace.h"
#include "kernels/cuda/ptx/barriers.cuh"
#include "kernels/cuda/ptx/bulk_copy.cuh"
#include "kernels/cuda/ptx/clusters.cuh"
#include "kernels/cuda/ptx/portable.cuh"

namespace ll::cuda {
namespace {

constexpr int kMinTiles = 2;   // pages that a CTA gets at least
constexpr int kFewGroups = 8;  // up to so many, CTAs form clusters
// A cluster starts when there is room for all of it, which CTAs of the kernel before that still
// merge take away from some: so much room stays free.
constexpr int kSpareCtas = 4 * kDecodeCluster;

template <class S>
__device__ void set_up(DecodeShared<S>& shared) {
  for (int i = 0; i < S::kStages; ++i) {
    init_barrier(&shared.full[i], 1);
    init_barrier(&shared.empty[i], kDecodeConsumers / 32);
  }
  for (int i = 0; i < S::kQueries; ++i) {
    init_barrier(&shared.query_full[i], 1);
    init_barrier(&shared.query_empty[i], kDecodeConsumers / 32);
  }
  publish_barriers();
}

// ---- merging in clusters

// One group's parts of this cluster, of the head this member merges; they are where `slots` has
// bits. The group has more parts than a cluster has members, so other clusters have some too.
template <class S>
__device__ void merge_in_cluster(DecodeShared<S>& shared, const DecodeArgs& a, uint32_t slots) {
  constexpr int kDim = S::kHeadDim;
  const auto& inbox = shared.inbox;
  PartOf of = inbox.of[__ffs(slots) - 1];
  int head = cluster_member(), dim = threadIdx.x % kDim;
  HeadSum own;
  own.fold(
      a.scale_log2, [&](int i) { return (slots >> i & 1) != 0; },
      [&](int i) { return inbox.max_and_sum[i]; }, [&](int i) { return inbox.out[i][dim]; });
  auto clusters = GroupClusters::of(of);
  // A cluster begins no more than one group that goes on behind it.
  auto& parts =
      static_cast<ClusterParts<kDim>*>(a.cluster_parts)[clusters.first * kMaxGroup + head];
  if (threadIdx.x < kDim) __stcg(&parts.out[clusters.own()][dim], own.out);
  if (threadIdx.x == 0) __stcg(&parts.max_and_sum[clusters.own()], make_float2(own.max, own.sum));
  if (!come_last(&a.counters->heads[clusters.first][head], clusters.count, shared.is_last,
                 sync_consumers))
    return;
  HeadSum all;
  for (int i = 0; i < clusters.count; i += HeadSum::kBatch)
    all.fold(
        a.scale_log2, [&](int j) { return i + j < clusters.count; },
        [&](int j) { return __ldcg(&parts.max_and_sum[i + j]); },
        [&](int j) { return __ldcg(&parts.out[i + j][dim]); });
  int64_t line = of.first_head + head;
  if (a.log_sums && threadIdx.x == 0) a.log_sums[line] = log_sum(all.max, all.sum, a.scale_log2);
  if (threadIdx.x < kDim) a.out[line * kDim + dim] = narrow(all.out * __fdividef(1.0f, all.sum));
}

// After all members have sent their parts.
template <class S>
__device__ void merge_cluster(DecodeShared<S>& shared, const DecodeArgs& a) {
  int lane = threadIdx.x % 32;
  int whose = lane < kClusterParts ? shared.inbox.of[lane].first_head : -1;
  uint32_t same = __match_any_sync(kFullWarp, whose);
  bool is_first = whose >= 0 && __ffs(same) - 1 == lane;
  for (uint32_t firsts = __ballot_sync(kFullWarp, is_first); firsts != 0; firsts &= firsts - 1)
    merge_in_cluster<S>(shared, a, __shfl_sync(kFullWarp, same, __ffs(firsts) - 1));
}

// The result for one KV head of a row.
template <class S>
__device__ GroupOut out_of(const DecodeArgs& a, int64_t first_head) {
  return {a.out + first_head * S::kHeadDim, a.log_sums ? a.log_sums + first_head : nullptr,
          a.scale_log2};
}

// The result of a row that has prefixes and nothing else.
template <class S>
__device__ void merge_prefixes(const DecodeArgs& a, int row) {
  int group = a.num_heads / a.num_kv_heads;
#pragma unroll 1
  for (int kv_head = 0; kv_head < a.num_kv_heads; ++kv_head) {
    Merged<S::kHeadDim> merged;
    if (merged.head() >= group) continue;
    RowParts parts = a.prefixes->rows[row * a.num_kv_heads + kv_head];
    RowPrefixes<S>(a, row, kv_head, parts).add_to(merged);
    merged.store_whole(out_of<S>(a, int64_t{row} * a.num_heads + kv_head * group));
  }
}

// Rows that have no tiles, as none of the positions that they read is this rank's, nobody else
// stores.
template <class S>
__device__ void store_tileless(const DecodeArgs& a) {
#pragma unroll 1
  for (int row = static_cast<int>(blockIdx.x); row < a.num_decode; row += gridDim.x) {
    int first_page = a.template first_page_of<S>(row);
    if (a.positions[row] < 0 || pages_of(a.length_of(row)) > first_page) continue;
    int64_t first = int64_t{row} * a.num_heads;
    if constexpr (S::kHasPrefixes) {
      if (first_page > 0) {
        merge_prefixes<S>(a, row);
        continue;
      }
    }
#pragma unroll 1
    for (int i = threadIdx.x; i < a.num_heads; i += kDecodeConsumers)
      a.log_sums[first + i] = -kInfinity;
#pragma unroll 1
    for (int i = threadIdx.x; i < a.num_heads * S::kHeadDim; i += kDecodeConsumers)
      a.out[first * S::kHeadDim + i] = narrow(0.0f);
  }
}

template <class S>
__device__ void consume(DecodeShared<S>& shared, const DecodeArgs& a) {
  int lane = threadIdx.x % 32, group = a.num_heads / a.num_kv_heads;
  GroupParts cut_group = a.starts[blockIdx.x].head, tail = a.starts[blockIdx.x].tail;
  RingPosition ring, queries;
  if (a.split.parts > 1) store_tileless<S>(a);
  if constexpr (S::kHasClusters) wait_for_cluster();  // its members have empty inboxes
  for (int order = 0;; order = 1, queries.advance(S::kQueries)) {
    wait_barrier(&shared.query_full[queries.stage], queries.parity);
    Segment segment = shared.segments[queries.stage];
    if (segment.num_pages == 0) break;
    RowPrefixes<S> prefixes(a, segment.row, segment.kv_head, shared.prefixes[queries.stage]);
    bool is_whole = segment.num_pages == segment.row_pages;
    PartBatch<S> ahead;
    if (is_whole) prefixes.load_first(ahead, group);
    Running<S> running;
#pragma unroll 1
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
    GroupOut out = out_of<S>(a, first_head);
    if (is_whole) {
      prefixes.add_to(running, ahead, group);
      store_whole<S>(running, out, group);
    } else if (S::kHasClusters && cut_group.num_parts > kDecodeCluster) {
      if constexpr (S::kHasClusters) {
        PartOf of{static_cast<int>(first_head), cut_group.first_cta, cut_group.num_parts};
        send_part<S>(running, shared, of, 2 * cluster_member() + order, group);
      }
    } else {
      using Parts = Part<S::kHeadDim>;
      PartsMemory<S::kHeadDim> memory{static_cast<Parts*>(a.parts), static_cast<Parts*>(a.merged),
                                      a.counters};
      int slot = cut_group.slot_of(static_cast<int>(blockIdx.x) - cut_group.first_cta);
      store_part<S>(running, memory.parts[slot], group);
      merge_parts(memory, cut_group, out, group, shared.is_last, sync_consumers,
                  [&](Merged<S::kHeadDim>& sum) { prefixes.add_to(sum); });
    }
    cut_group = tail;  // only the first group and the last can be cut
  }
  if constexpr (S::kHasClusters) {
    sync_cluster();
    if (cluster_member() < group) merge_cluster<S>(shared, a);
  }
}

template <class S>
__global__ void __launch_bounds__(kDecodeThreads, 2)
    decode(const __grid_constant__ CUtensorMap q_map, const __grid_constant__ CUtensorMap k_map,
           const __grid_constant__ CUtensorMap v_map, const __grid_constant__ DecodeArgs a) {
  auto& shared = *reinterpret_cast<DecodeShared<S>*>(dynamic_shared());
  int word = 0;  // of the plan, under way while the block is set up
  if (threadIdx.x >= kDecodeConsumers)
    word = __ldcg(reinterpret_cast<const int32_t*>(a.starts + blockIdx.x) + threadIdx.x % 32);
  if (threadIdx.x == 0) set_up(shared);
  if constexpr (S::kHasClusters)
    if (threadIdx.x < kClusterParts) shared.inbox.of[threadIdx.x].first_head = -1;
  if (threadIdx.x == kDecodeConsumers) {
    prefetch_map(&q_map);
    prefetch_map(&k_map);
    prefetch_map(&v_map);
  }
  __syncthreads();
  if constexpr (S::kHasClusters) arrive_at_cluster();
  let_next_start();
  if (threadIdx.x >= kDecodeConsumers) {
    produce<S>(shared, q_map, k_map, v_map, a, word);
    if constexpr (S::kHasClusters) wait_for_cluster();
  } else {
    wait_for_previous();
    consume<S>(shared, a);
  }
}

template <class S>
constexpr size_t shared_bytes() {
  constexpr size_t kBytes = sizeof(DecodeShared<S>) + kSharedSlack;
  static_assert(2 * (kBytes + 1024) <= (228 << 10));  // two CTAs an SM
  return kBytes;
}

template <class S>
void launch_decode(Stream stream, const AttentionArgs& a, int ctas) {
  constexpr size_t kPartsBytes = PartsMemory<S::kHeadDim>::kBytes;
  static_assert(2 * kPartsBytes +
                    kMaxDecodeClusters * kMaxGroup * sizeof(ClusterParts<S::kHeadDim>) <=
                kDecodeScratchBytes);
  static_assert(sizeof(ClusterCounters) <= Workspace::kCounterBytes);
  auto* parts = static_cast<char*>(workspace_of(stream).scratch.data);
  DecodeArgs args{.starts = attention_plan(stream)->starts,
                  .positions = a.batch.positions,
                  .slots = a.batch.slots,
                  .page_table = a.batch.page_table,
                  .page_table_stride = a.batch.page_table_stride,
                  .out = a.out.as<bf16>(),
                  .log_sums = a.log_sums,
                  .parts = parts,
                  .merged = parts + kPartsBytes,
                  .cluster_parts = parts + 2 * kPartsBytes,
                  .counters = static_cast<ClusterCounters*>(attention_counters(stream)),
                  .num_decode = a.batch.num_decode,
                  .num_heads = a.num_heads,
                  .num_kv_heads = a.num_kv_heads,
                  .scale_log2 = scale_log2(S::kHeadDim),
                  .split = a.kv.split,
                  .prefixes = S::kHasPrefixes ? prefix_plan(stream) : nullptr,
                  .prefix_parts = S::kHasPrefixes ? prefix_parts(stream) : nullptr,
                  .prefix_tokens = prefix_rows(S::kHeadDim) / (a.num_heads / a.num_kv_heads)};
  LaunchShape shape{dim3(static_cast<unsigned>(ctas)), dim3(kDecodeThreads), shared_bytes<S>(),
                    S::kHasClusters ? kDecodeCluster : 1};
  launch(stream, shape, decode<S>, query_map(a, kMaxGroup, 1), kv_map(a.kv.k), kv_map(a.kv.v),
         args);
}

template <class S>
void allow_shared() {
  ll::cuda::allow_shared(reinterpret_cast<const void*>(decode<S>), shared_bytes<S>());
}

// Fewer than without clusters.
template <class S>
int resident_in_clusters() {
  LaunchShape shape{dim3(kMaxDecodeCtas), dim3(kDecodeThreads), shared_bytes<S>(), kDecodeCluster};
  return clusters_at_once(reinterpret_cast<const void*>(decode<S>), shape) * kDecodeCluster;
}

template <DecodeKind kKind>
using Shape128 = DecodeShape<128, 1, kKind>;
template <DecodeKind kKind>
using Shape64 = DecodeShape<64, 2, kKind>;

// How many CTAs run at once in clusters on the GPU of the process.
int g_ctas_in_clusters = 0;

// CTAs for so many groups (decode rows times KV heads), whatever the lengths: all are resident at
// once.
struct DecodeGrid {
  int ctas;
  bool has_clusters;
};

DecodeGrid decode_grid(int num_groups, bool may_have_clusters) {
  int in_clusters = g_ctas_in_clusters;
  bool has_clusters = may_have_clusters && num_groups <= kFewGroups && in_clusters >= num_sms();
  return {has_clusters ? smaller(in_clusters - kSpareCtas, 2 * num_sms()) : 2 * num_sms(),
          has_clusters};
}

template <template <DecodeKind> class Shape>
void launch_decode(Stream stream, const AttentionArgs& a) {
  bool has_prefixes = reads_prefixes(a.batch, a.num_kv_heads);
  DecodeGrid grid = decode_grid(a.batch.num_decode * a.num_kv_heads, !has_prefixes);
  if (has_prefixes)
    launch_decode<Shape<DecodeKind::kBehindPrefixes>>(stream, a, grid.ctas);
  else if (grid.has_clusters)
    launch_decode<Shape<DecodeKind::kInClusters>>(stream, a, grid.ctas);
  else
    launch_decode<Shape<DecodeKind::kAlone>>(stream, a, grid.ctas);
}

template <template <DecodeKind> class Shape>
void allow_shared_of_all() {
  allow_shared<Shape<DecodeKind::kAlone>>();
  allow_shared<Shape<DecodeKind::kInClusters>>();
  allow_shared<Shape<DecodeKind::kBehindPrefixes>>();
}

}  // namespace

void prepare_decode() {
  allow_shared_of_all<Shape128>();
  allow_shared_of_all<Shape64>();
  g_ctas_in_clusters = smaller(resident_in_clusters<Shape128<DecodeKind::kInClusters>>(),
                               resident_in_clusters<Shape64<DecodeKind::kInClusters>>());
}

DecodeCut decode_cut(int num_groups, bool has_prefixes) {
  int ctas = decode_grid(num_groups, !has_prefixes).ctas;
  return {.ctas = ctas, .few_ctas = ctas, .few_tiles = 0, .min_tiles = kMinTiles};
}

void attention_decode(Stream stream, const AttentionArgs& a) {
  if (a.kv.k.dim(3) == 128)
    launch_decode<Shape128>(stream, a);
  else
    launch_decode<Shape64>(stream, a);
}

}  // namespace ll::cuda
