#pragma once
// Parts of a softmax over one group of heads, and their sum [Milakov & Gimelshein 2018]. 128
// threads of a CTA merge; all that finish a part of a group come here, and the last one does the
// work.
#include "kernels/cuda/attention/attention_outputs.cuh"
#include "kernels/cuda/ptx/portable.cuh"

namespace ll::cuda {

// What a cut group leaves: sums over its positions of exp2((s - max) scale) v, and the same of 1.
template <int kHeadDim>
struct Part {
  float out[kMaxGroup][kHeadDim];
  float2 max_and_sum[kMaxGroup];
};

// A warpgroup sums up parts: each thread has kWidth dims of one head.
template <int kHeadDim>
struct Merged {
  static constexpr int kWidth = kMaxGroup * kHeadDim / 128,
                       kBatch = 4;  // parts whose loads are under way at once
  float max = -kInfinity, sum = 0, out[kWidth] = {};

  __device__ static int head() { return threadIdx.x * kWidth / kHeadDim; }
  __device__ static int dim() { return threadIdx.x * kWidth % kHeadDim; }

  // What this thread has of a part.
  struct Own {
    const float2* max_and_sum;
    const float* out;
  };
  __device__ static Own own_of(const Part<kHeadDim>& part) {
    return {&part.max_and_sum[head()], &part.out[head()][dim()]};
  }

  // In the order of the parts, whoever finished when.
  template <class OwnAt>
  __device__ void fold(int count, float scale, OwnAt own_at) {
#pragma unroll 1
    for (int first = 0; first < count; first += kBatch) {
      float2 max_and_sum[kBatch];
      float4 values[kBatch][kWidth / 4];
#pragma unroll
      for (int i = 0; i < kBatch; ++i) {
        if (first + i >= count) continue;
        Own own = own_at(first + i);
        max_and_sum[i] = __ldcg(own.max_and_sum);
#pragma unroll
        for (int w = 0; w < kWidth / 4; ++w)
          values[i][w] = __ldcg(reinterpret_cast<const float4*>(own.out) + w);
      }
#pragma unroll
      for (int i = 0; i < kBatch; ++i)
        if (first + i < count) add(max_and_sum[i], values[i], scale);
    }
  }

  __device__ void add(float2 other, const float4 (&values)[kWidth / 4], float scale) {
    float top = fmaxf(max, other.x);
    float mine = exp2_fast((max - top) * scale), others = exp2_fast((other.x - top) * scale);
    max = top;
    sum = sum * mine + other.y * others;
#pragma unroll
    for (int w = 0; w < kWidth / 4; ++w) {
      float x[] = {values[w].x, values[w].y, values[w].z, values[w].w};
#pragma unroll
      for (int i = 0; i < 4; ++i) out[4 * w + i] = out[4 * w + i] * mine + x[i] * others;
    }
  }

  __device__ void store_part(Part<kHeadDim>& part) const {
#pragma unroll
    for (int w = 0; w < kWidth / 4; ++w)
      __stcg(reinterpret_cast<float4*>(&part.out[head()][dim()]) + w,
             make_float4(out[4 * w], out[4 * w + 1], out[4 * w + 2], out[4 * w + 3]));
    if (dim() == 0) __stcg(&part.max_and_sum[head()], make_float2(max, sum));
  }

  __device__ void store_whole(const GroupOut& to) const {
    float inverse = __fdividef(1.0f, sum);
    if (to.log_sums && dim() == 0) to.log_sums[head()] = log_sum(max, sum, to.scale_log2);
    auto* pairs = reinterpret_cast<uint32_t*>(to.values + head() * kHeadDim + dim());
#pragma unroll
    for (int i = 0; i < kWidth / 2; ++i)
      pairs[i] = pack_pair(out[2 * i] * inverse, out[2 * i + 1] * inverse);
  }
};

constexpr int kFanIn = 16;  // parts one CTA merges

// Device memory of the parts: what CTAs leave, and what inner merges make of it.
template <int kHeadDim>
struct PartsMemory {
  Part<kHeadDim>*parts, *merged;  // [2 CTAs] each, by slot (GroupParts)
  AttentionCounters* counters;

  static constexpr size_t kBytes = 2 * kMaxDecodeCtas * sizeof(Part<kHeadDim>);  // of each

  // The counter of the merge of parts that `first_part` begins.
  __device__ uint32_t& node_counter(const GroupParts& g, int first_part) const {
    return counters->nodes[g.slot_of(first_part)];
  }
};

// What one CTA of a group merges first: parts [first, first + count); with nodes.pieces > 1 the
// group has more such nodes, whose sums are merged by the last CTA to make one.
struct MergeNode {
  NodeCut nodes;
  int first, count;

  __device__ static MergeNode of(const GroupParts& g) {
    if (g.num_parts <= kFanIn) return {{g.num_parts, 1}, 0, g.num_parts};
    NodeCut nodes = merge_nodes(g.num_parts, kFanIn);
    int node = nodes.piece_of(static_cast<int>(blockIdx.x) - g.first_cta);
    return {nodes, nodes.begin(node), nodes.size(node)};
  }
};

// One thread says that the CTA has come to a merge of `count`; what all its threads stored before a
// barrier is then visible to the last one. Whether all others had come before; the counter is left
// zero.
__device__ inline bool arrive_last(uint32_t* counter, int count) {
  bool is_last = add_ordered(counter, 1) == static_cast<uint32_t>(count - 1);
  if (is_last) *counter = 0;
  return is_last;
}

// The same, for all threads. `sync` waits for the 128 threads, which share `is_last`.
template <class Sync>
__device__ bool come_last(uint32_t* counter, int count, bool& is_last, Sync sync) {
  sync();
  if (threadIdx.x == 0) is_last = arrive_last(counter, count);
  sync();
  return is_last;
}

struct AddNothing {
  template <class Sum>
  __device__ void operator()(Sum&) const {}
};

// By the CTA that came last to its node: makes the node's sum, and the group's from all nodes if it
// comes last there too. `add_rest` adds to that what there is besides the parts.
template <int kHeadDim, class Sync, class AddRest = AddNothing>
__device__ void merge_node(const PartsMemory<kHeadDim>& memory, const GroupParts& g,
                           const MergeNode& node, const GroupOut& out, int group, bool& is_last,
                           Sync sync, AddRest add_rest = {}) {
  using Own = Merged<kHeadDim>;
  bool has_head = Own::head() < group;
  int inputs = node.count;
  Own own;
#pragma unroll 1
  for (bool is_root = false;; is_root = true) {  // one loop: its code is there once
    own = Own();
    if (has_head)
      own.fold(inputs, out.scale_log2, [&](int i) {
        return Own::own_of(is_root ? memory.merged[g.slot_of(node.nodes.begin(i))]
                                   : memory.parts[g.slot_of(node.first + i)]);
      });
    if (is_root || node.nodes.pieces == 1) break;
    if (has_head) own.store_part(memory.merged[g.slot_of(node.first)]);
    inputs = node.nodes.pieces;
    if (!come_last(&memory.counters->groups[g.first_slot], inputs, is_last, sync)) return;
  }
  if (!has_head) return;
  add_rest(own);
  own.store_whole(out);
}

// After this CTA's part of a group is stored.
template <int kHeadDim, class Sync, class AddRest = AddNothing>
__device__ void merge_parts(const PartsMemory<kHeadDim>& memory, const GroupParts& g,
                            const GroupOut& out, int group, bool& is_last, Sync sync,
                            AddRest add_rest = {}) {
  auto node = MergeNode::of(g);
  if (come_last(&memory.node_counter(g, node.first), node.count, is_last, sync))
    merge_node(memory, g, node, out, group, is_last, sync, add_rest);
}

}  // namespace ll::cuda
