#pragma once
// Merging inside a cluster of decode CTAs, where groups have many parts: member h sums up head h of
// every such group that the cluster has parts of, which the others store into its shared memory.
// One part a cluster is left to go through device memory, in one round.
#include "base/numbers.h"
#include "kernels/cuda/attention/attention_outputs.cuh"
#include "kernels/cuda/ptx/clusters.cuh"
#include "kernels/cuda/ptx/portable.cuh"

namespace ll::cuda {

constexpr int kDecodeCluster = kMaxGroup;  // a member for each head of a group
constexpr int kMaxDecodeClusters = kMaxDecodeCtas / kDecodeCluster;

// Merges of clusters are counted by first cluster and head.
struct ClusterCounters : AttentionCounters {
  uint32_t heads[kMaxDecodeClusters][kMaxGroup];
};

// Parts that the CTAs of a cluster leave. A CTA has two at most: one of the group its first tile
// belongs to, and one of a group that begins later.
constexpr int kClusterParts = 2 * kDecodeCluster;

// Whose part: the group's first head in the step's output; negative: there is no part.
struct PartOf {
  int first_head, first_cta, num_parts;
};

// What members send to the one that merges this head: sums over a part's positions of
// exp2((s - max) scale) v, and the same of 1.
template <int kHeadDim>
struct Inbox {
  float out[kClusterParts][kHeadDim];
  float2 max_and_sum[kClusterParts];
  PartOf of[kClusterParts];
};

// What clusters leave of one head of a group, in their order.
template <int kHeadDim>
struct ClusterParts {
  float out[kMaxDecodeClusters][kHeadDim];
  float2 max_and_sum[kMaxDecodeClusters];
};

// One dim of one head, summed up over parts.
struct HeadSum {
  static constexpr int kBatch = 16;  // parts whose loads are under way at once
  float max = -kInfinity, sum = 0, out = 0;

  // Those of kBatch parts that take part, in their order.
  template <class TakesPart, class MaxAndSum, class Out>
  __device__ void fold(float scale, TakesPart takes_part, MaxAndSum max_and_sum_of, Out out_of) {
    float2 max_and_sum[kBatch];
    float values[kBatch], top = max;
#pragma unroll
    for (int i = 0; i < kBatch; ++i) {
      max_and_sum[i] = takes_part(i) ? max_and_sum_of(i) : make_float2(-kInfinity, 0.0f);
      values[i] = takes_part(i) ? out_of(i) : 0.0f;
    }
#pragma unroll
    for (int i = 0; i < kBatch; ++i) top = fmaxf(top, max_and_sum[i].x);
    float mine = exp2_fast((max - top) * scale);
    sum *= mine;
    out *= mine;
#pragma unroll
    for (int i = 0; i < kBatch; ++i) {
      float weight = exp2_fast((max_and_sum[i].x - top) * scale);
      sum += max_and_sum[i].y * weight;
      out += values[i] * weight;
    }
    max = top;
  }
};

// ---- shared memory of a member

__device__ inline void store_at_member(uint32_t address, float x) {
  asm volatile("st.shared::cluster.f32 [%0], %1;" ::"r"(address), "f"(x) : "memory");
}
__device__ inline void store_at_member(uint32_t address, int x) {
  asm volatile("st.shared::cluster.s32 [%0], %1;" ::"r"(address), "r"(x) : "memory");
}

__device__ inline int cluster_member() { return static_cast<int>(blockIdx.x) % kDecodeCluster; }

// The clusters that have parts of a group.
struct GroupClusters {
  int first, count;

  __device__ static GroupClusters of(const PartOf& p) {
    int first = p.first_cta / kDecodeCluster;
    return {first, ceil_div(p.first_cta + p.num_parts, kDecodeCluster) - first};
  }
  __device__ int own() const { return static_cast<int>(blockIdx.x) / kDecodeCluster - first; }
};

}  // namespace ll::cuda
