#pragma once
// The arithmetic of a decode CTA's warpgroup: a stage of keys and values into a running softmax.
#include <type_traits>

#include "kernels/cuda/attention/attention_merge.cuh"
#include "kernels/cuda/attention/attention_outputs.cuh"
#include "kernels/cuda/attention/sm90/attention_cluster.cuh"
#include "kernels/cuda/attention/sm90/prefix_plan.cuh"
#include "kernels/cuda/ptx/bulk_copy.cuh"
#include "kernels/cuda/ptx/clusters.cuh"
#include "kernels/cuda/ptx/portable.cuh"
#include "kernels/cuda/ptx/wgmma.cuh"

namespace ll::cuda {

constexpr int kDecodeConsumers = 128, kDecodeThreads = kDecodeConsumers + 32;
constexpr size_t kRingBytes = 96 << 10;  // two CTAs an SM

// How the rows of a step are read: whole, by CTAs alone or in clusters, or behind the prefixes that
// groups of rows read.
enum class DecodeKind : uint8_t { kAlone, kInClusters, kBehindPrefixes };

template <int kDim, int kPages, DecodeKind kKind>
struct DecodeShape {
  static constexpr int kHeadDim = kDim, kStagePages = kPages;
  static constexpr bool kHasClusters = kKind == DecodeKind::kInClusters;
  static constexpr bool kHasPrefixes = kKind == DecodeKind::kBehindPrefixes;
  static constexpr int kQueries = kHasClusters ? 3 : 4;  // groups whose queries are loaded ahead
  static constexpr int kHalves = kHeadDim / 64, kPositions = kPagePositions * kStagePages;
  static constexpr int kPageBytes = kPagePositions * kHeadDim * 2;  // of keys, or of values
  static constexpr int kStages = static_cast<int>(kRingBytes) / (2 * kPageBytes * kStagePages);
};

// The pages of one group that a CTA works on, of all that its row reads; num_pages 0: there are
// none left.
struct Segment {
  int row, kv_head, first_page, num_pages, kv_length, row_pages;
};

template <class S>
struct DecodeShared {
  alignas(1024) bf16 k[S::kStages][S::kStagePages][S::kHalves][kPagePositions * 64];
  alignas(1024) bf16 v[S::kStages][S::kStagePages][S::kHalves][kPagePositions * 64];
  alignas(1024) bf16 q[S::kQueries][S::kHalves][kMaxGroup * 64];
  alignas(1024) bf16 p[S::kStagePages][kMaxGroup * 64];  // probabilities, [head][position]
  uint64_t full[S::kStages], empty[S::kStages], query_full[S::kQueries], query_empty[S::kQueries];
  Segment segments[S::kQueries];
  struct NoParts {};
  std::conditional_t<S::kHasPrefixes, RowParts, NoParts> prefixes[S::kQueries];  // of segments
  float warp_max[4][kMaxGroup], warp_sum[4][kMaxGroup];
  struct NoInbox {};
  alignas(16) std::conditional_t<S::kHasClusters, Inbox<S::kHeadDim>, NoInbox> inbox;
  bool is_last;
};

__device__ inline void sync_consumers() { sync_some(/*id=*/1, kDecodeConsumers); }

// A thread has heads thread_head() and the next and, of every 64 positions or dims, thread_line()
// and the one eight on.
__device__ inline int thread_head() { return threadIdx.x % 4 * 2; }
__device__ inline int thread_line() {
  return static_cast<int>(threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4);
}

// Over the lanes of a warp that have the same heads.
template <class Fold>
__device__ float over_lines(float x, Fold fold) {
#pragma unroll
  for (int lanes = 4; lanes < 32; lanes *= 2) x = fold(x, __shfl_xor_sync(kFullWarp, x, lanes));
  return x;
}

// Softmax of a segment so far, and its output; out[half][2 i + j] is of dim thread_line() + 8 i and
// head thread_head() + j.
template <class S>
struct Running {
  float max[2] = {-kInfinity, -kInfinity}, sum[2] = {0, 0};
  float out[S::kHalves][4] = {};
};

// scores[page][2 i + j] of position thread_line() + 8 i.
template <class S>
using StageScores = float[S::kStagePages][4];

template <class S>
__device__ void multiply_keys(StageScores<S>& scores, const DecodeShared<S>& shared, int stage,
                              int query) {
  begin_products();
#pragma unroll
  for (int i = 0; i < S::kStagePages; ++i)
#pragma unroll
    for (int step = 0; step < S::kHeadDim / 16; ++step)
      multiply(scores[i], tile_descriptor(shared.k[stage][i][step / 4] + step % 4 * 16),
               tile_descriptor(shared.q[query][step / 4] + step % 4 * 16), step > 0);
  commit_products();
  finish_products(scores);
}

template <class S>
__device__ void multiply_values(Running<S>& running, const DecodeShared<S>& shared, int stage) {
  begin_products();
#pragma unroll
  for (int half = 0; half < S::kHalves; ++half)
#pragma unroll
    for (int i = 0; i < S::kStagePages; ++i)
#pragma unroll
      for (int step = 0; step < kPagePositions / 16; ++step)
        multiply<Major::kMn, Major::kK>(running.out[half],
                                        tile_descriptor(shared.v[stage][i][half] + step * 16 * 64),
                                        tile_descriptor(shared.p[i] + step * 16), true);
  commit_products();
  finish_products(running.out);
}

// What lies behind the sequence, or behind the loaded pages, takes no part.
template <class S>
__device__ void cut_off(StageScores<S>& scores, DecodeShared<S>& shared, int stage, int valid) {
#pragma unroll
  for (int i = 0; i < S::kStagePages; ++i) {
#pragma unroll
    for (int e = 0; e < 4; ++e)
      if (i * kPagePositions + thread_line() + e / 2 * 8 >= valid) scores[i][e] = -kInfinity;
    for (int half = 0; half < S::kHalves; ++half)
      zero_lines(shared.v[stage][i][half], max(valid - i * kPagePositions, 0), kPagePositions);
  }
}

// The largest score of each head, a warp's; all four make the stage's.
template <class S>
__device__ void share_maxima(const StageScores<S>& scores, DecodeShared<S>& shared) {
  auto larger = [](float x, float y) { return fmaxf(x, y); };
#pragma unroll
  for (int j = 0; j < 2; ++j) {
    float top = -kInfinity;
#pragma unroll
    for (int i = 0; i < S::kStagePages; ++i)
      top = fmaxf(top, fmaxf(scores[i][j], scores[i][2 + j]));
    top = over_lines(top, larger);
    if (threadIdx.x % 32 < 4) shared.warp_max[threadIdx.x / 32][thread_head() + j] = top;
  }
}

// An element of an [8][64] tile under the 128-byte swizzle.
__device__ inline int swizzled(int row, int column) {
  return row * 64 + ((column / 8) ^ row) * 8 + column % 8;
}

// Scores become probabilities, in shared memory; the sums so far are scaled to the new maximum.
template <class S>
__device__ void soften(const StageScores<S>& scores, Running<S>& running, DecodeShared<S>& shared,
                       float scale) {
#pragma unroll
  for (int j = 0; j < 2; ++j) {
    float top = running.max[j];
#pragma unroll
    for (int w = 0; w < 4; ++w) top = fmaxf(top, shared.warp_max[w][thread_head() + j]);
    float correction = exp2_fast((running.max[j] - top) * scale), sum = 0;
#pragma unroll
    for (int i = 0; i < S::kStagePages; ++i)
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        float p = exp2_fast((scores[i][2 * e + j] - top) * scale);
        sum += p;
        shared.p[i][swizzled(thread_head() + j, thread_line() + 8 * e)] = narrow(p);
      }
    running.max[j] = top;
    running.sum[j] = running.sum[j] * correction + sum;
#pragma unroll
    for (int half = 0; half < S::kHalves; ++half)
#pragma unroll
      for (int e = 0; e < 2; ++e) running.out[half][2 * e + j] *= correction;
  }
}

// One stage: `valid` of its positions belong to the sequence.
template <class S>
__device__ void attend_stage(DecodeShared<S>& shared, Running<S>& running, int stage, int query,
                             int valid, float scale) {
  StageScores<S> scores;
  multiply_keys<S>(scores, shared, stage, query);
  if (valid < S::kPositions) cut_off<S>(scores, shared, stage, valid);
  share_maxima<S>(scores, shared);
  sync_consumers();
  soften<S>(scores, running, shared, scale);
  fence_shared_accesses();
  sync_consumers();
  multiply_values<S>(running, shared, stage);
}

// The sums of all four warps.
template <class S>
__device__ void complete_sums(DecodeShared<S>& shared, Running<S>& running) {
  auto add = [](float x, float y) { return x + y; };
#pragma unroll
  for (int j = 0; j < 2; ++j) {
    float sum = over_lines(running.sum[j], add);
    if (threadIdx.x % 32 < 4) shared.warp_sum[threadIdx.x / 32][thread_head() + j] = sum;
  }
  sync_consumers();
#pragma unroll
  for (int j = 0; j < 2; ++j) {
    running.sum[j] = 0;
#pragma unroll
    for (int w = 0; w < 4; ++w) running.sum[j] += shared.warp_sum[w][thread_head() + j];
  }
}

template <class S>
__device__ void store_whole(const Running<S>& running, const GroupOut& to, int group) {
#pragma unroll
  for (int j = 0; j < 2; ++j) {
    if (thread_head() + j >= group) continue;
    float inverse = __fdividef(1.0f, running.sum[j]);
    if (to.log_sums && threadIdx.x < 4)
      to.log_sums[thread_head() + j] = log_sum(running.max[j], running.sum[j], to.scale_log2);
#pragma unroll
    for (int half = 0; half < S::kHalves; ++half)
#pragma unroll
      for (int e = 0; e < 2; ++e)
        to.values[(thread_head() + j) * S::kHeadDim + half * 64 + thread_line() + 8 * e] =
            narrow(running.out[half][2 * e + j] * inverse);
  }
}

template <class S>
__device__ void store_part(const Running<S>& running, Part<S::kHeadDim>& part, int group) {
#pragma unroll
  for (int j = 0; j < 2; ++j) {
    if (thread_head() + j >= group) continue;
#pragma unroll
    for (int half = 0; half < S::kHalves; ++half)
#pragma unroll
      for (int e = 0; e < 2; ++e)
        __stcg(&part.out[thread_head() + j][half * 64 + thread_line() + 8 * e],
               running.out[half][2 * e + j]);
    if (threadIdx.x < 4)
      __stcg(&part.max_and_sum[thread_head() + j], make_float2(running.max[j], running.sum[j]));
  }
}

// To the members of the cluster that merge this group's heads.
template <class S>
__device__ void send_part(const Running<S>& running, DecodeShared<S>& shared, const PartOf& of,
                          int slot, int group) {
  auto& inbox = shared.inbox;
#pragma unroll
  for (int j = 0; j < 2; ++j) {
    int head = thread_head() + j;
    if (head >= group) continue;
    uint32_t out = member_address(&inbox.out[slot][thread_line()], head);
#pragma unroll
    for (int half = 0; half < S::kHalves; ++half)
#pragma unroll
      for (int e = 0; e < 2; ++e)
        store_at_member(out + (half * 64 + 8 * e) * 4, running.out[half][2 * e + j]);
    if (threadIdx.x >= 4) continue;
    uint32_t max_and_sum = member_address(&inbox.max_and_sum[slot], head),
             whose = member_address(&inbox.of[slot], head);
    store_at_member(max_and_sum, running.max[j]);
    store_at_member(max_and_sum + 4, running.sum[j]);
    store_at_member(whose, of.first_head);
    store_at_member(whose + 4, of.first_cta);
    store_at_member(whose + 8, of.num_parts);
  }
}

}  // namespace ll::cuda
