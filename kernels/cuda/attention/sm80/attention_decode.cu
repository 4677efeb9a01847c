// Flash-decoding over paged KV [Dao et al. 2023]: one query token a sequence, the heads of a KV
// head together. A block takes an equal run of the flat list of (row, KV head, page) and walks it
// group by group; groups that are cut leave parts, and the last block to finish one merges them. A
// block does not wait to see whether it is the last of its first group before its run is done.
//
// Warp w has positions [16 w, 16 w + 16) of every page, a ring of shared memory for them, and a
// softmax of its own: warps wait for each other at the end of a group only, and copies go on across
// groups. This takes no barriers but cp.async's own.
#include "kernels/cuda/attention/attention_merge.cuh"
#include "kernels/cuda/attention/sm80/attention_sm80.h"
#include "kernels/cuda/attention/sm80/decode_ring.cuh"
#include "kernels/cuda/attention/sm80/decode_softmax.cuh"
#include "kernels/cuda/device/cuda_device.h"
#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/device/workspace.h"

namespace ll::cuda::sm80 {
namespace {

constexpr int kMinTiles = 2;  // of a block, so that its copies overlap and parts are few

// The pages of a group that this block has.
template <class S>
__device__ void attend(const DecodeArgs& a, const Group& g, const GroupQueries<S>& queries,
                       DecodeRing<S>& ring, WarpSoftmax<S>& softmax) {
  int first = threadIdx.x / 32 * kUnit;  // of this warp in a page
#pragma unroll 1
  for (int page = g.first_page; page < g.first_page + g.num_pages; ++page) {
    int valid = g.kv_length - page * kPagePositions - first;
    uint32_t keys = ring.take();
    if (valid > 0) softmax.attend_keys(queries, keys, valid, a.scale_log2);
    uint32_t values = ring.take();
    if (valid > 0) softmax.attend_values(values);
  }
}

// The sum over the warps, each thread's share. The first warp has a position of every page, so that
// there is no sum over nothing to begin with.
template <class S>
__device__ Merged<S::kHeadDim> sum_warps(DecodeShared<S>& shared, const WarpSoftmax<S>& softmax,
                                         float scale) {
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  __syncthreads();  // the group before has been read
#pragma unroll
  for (int j = 0; j < 2; ++j) {
    int head = softmax.head() + j;
    float sum = softmax.whole_sum(j);
    if (lane < 4) shared.max_and_sum[warp][head] = make_float2(softmax.max[j], sum);
#pragma unroll
    for (int i = 0; i < softmax.kSteps; ++i) {
      shared.out[warp][head][16 * i + lane / 4] = softmax.out[i][j];
      shared.out[warp][head][16 * i + lane / 4 + 8] = softmax.out[i][2 + j];
    }
  }
  __syncthreads();
  using Own = Merged<S::kHeadDim>;
  Own own;
#pragma unroll 1
  for (int w = 0; w < kDecodeWarps; ++w) {
    float4 values[Own::kWidth / 4];
#pragma unroll
    for (int i = 0; i < Own::kWidth / 4; ++i)
      values[i] = reinterpret_cast<const float4*>(&shared.out[w][Own::head()][Own::dim()])[i];
    own.add(shared.max_and_sum[w][Own::head()], values, scale);
  }
  return own;
}

// How one group's result comes together.
template <class S>
struct GroupEnd {
  static constexpr int kDim = S::kHeadDim;

  PartsMemory<kDim> memory;
  GroupOut out;
  int group;

  __device__ GroupEnd(const DecodeArgs& a, int row, int kv_head)
      : memory{static_cast<Part<kDim>*>(a.parts), static_cast<Part<kDim>*>(a.merged), a.counters},
        group(a.group()) {
    int64_t first_head = int64_t{row} * a.num_heads + kv_head * group;
    out = {a.out + first_head * kDim, a.log_sums ? a.log_sums + first_head : nullptr, a.scale_log2};
  }

  __device__ void store_whole(const Merged<kDim>& own) const {
    if (own.head() < group) own.store_whole(out);
  }
  __device__ void store_part(const Merged<kDim>& own, const GroupParts& cut) const {
    int slot = cut.slot_of(static_cast<int>(blockIdx.x) - cut.first_cta);
    if (own.head() < group) own.store_part(memory.parts[slot]);
  }

  __device__ void merge(const GroupParts& cut, bool& is_last) const {
    merge_parts(memory, cut, out, group, is_last, [] { __syncthreads(); });
  }
  // The same in two steps, with work between them that does not wait for the first one's answer,
  // which the first thread keeps.
  __device__ uint32_t arrive(const GroupParts& cut) const {
    auto node = MergeNode::of(cut);
    __syncthreads();
    return threadIdx.x == 0 ? add_released(&memory.node_counter(cut, node.first), 1) : 0;
  }
  __device__ void merge_if_last(const GroupParts& cut, uint32_t before,
                                DecodeShared<S>& shared) const {
    auto node = MergeNode::of(cut);
    if (threadIdx.x == 0) {
      bool is_last = before == static_cast<uint32_t>(node.count - 1);
      if (is_last) {
        see_added();
        memory.node_counter(cut, node.first) = 0;
      }
      shared.is_last_of_head = is_last;
    }
    __syncthreads();
    if (shared.is_last_of_head)
      merge_node(memory, cut, node, out, group, shared.is_last, [] { __syncthreads(); });
  }
};

// Groups that are cut are the first and the last of a run, or the only one.
template <class S>
__device__ void attend_run(const DecodeArgs& a, const RunStart& start, DecodeShared<S>& shared) {
  DecodeRing<S> ring(a, shared.ring[threadIdx.x / 32], start);
  GroupWalk groups(a.plan->rows, a.num_kv_heads, start);
  GroupQueries<S> queries;
  GroupParts cut = start.head();
  bool has_left_head = false;
  uint32_t before_head = 0;
  Group g = groups.next();
  queries.load(a, g);
#pragma unroll 1
  while (g.num_pages > 0) {
    WarpSoftmax<S> softmax;
    attend<S>(a, g, queries, ring, softmax);
    Group next = groups.next();
    if (next.num_pages > 0) queries.load(a, next);
    GroupEnd<S> end(a, g.row, g.kv_head);
    auto own = sum_warps<S>(shared, softmax, a.scale_log2);
    if (g.is_whole()) {
      end.store_whole(own);
    } else {
      end.store_part(own, cut);
      if (next.num_pages == 0) {
        end.merge(cut, shared.is_last);
      } else {
        before_head = end.arrive(cut);
        has_left_head = true;
      }
    }
    cut = start.tail();
    g = next;
  }
  if (has_left_head)
    GroupEnd<S>(a, start.row(), start.kv_head()).merge_if_last(start.head(), before_head, shared);
}

// Rows none of whose positions is this rank's have no tiles, so that nobody else stores them.
template <class S>
__device__ void store_nothings(const DecodeArgs& a) {
  for (int row = static_cast<int>(blockIdx.x); row < a.num_decode; row += gridDim.x) {
    if (a.positions[row] < 0 || a.plan->rows[row].kv_length > 0) continue;
    int64_t first = int64_t{row} * a.num_heads;
    for (int i = threadIdx.x; i < a.num_heads; i += kDecodeThreads)
      a.log_sums[first + i] = -kInfinity;
    for (int i = threadIdx.x; i < a.num_heads * S::kHeadDim; i += kDecodeThreads)
      a.out[first * S::kHeadDim + i] = narrow(0.0f);
  }
}

template <class S>
__global__ void __launch_bounds__(kDecodeThreads, S::kMostBlocks)
    decode(const __grid_constant__ DecodeArgs a) {
  wait_for_previous();
  auto& shared = *reinterpret_cast<DecodeShared<S>*>(dynamic_shared<kRowAlignment>());
  RunStart start(a.plan->starts[blockIdx.x]);
  if (a.split.parts > 1) store_nothings<S>(a);
  if (start.num_tiles() == 0) return;
  attend_run<S>(a, start, shared);
}

template <class S>
constexpr size_t kSharedBytes = sizeof(DecodeShared<S>) + shared_slack(kRowAlignment);

template <class S>
void launch_decode(Stream stream, const AttentionArgs& a, int blocks) {
  constexpr size_t kPartsBytes = PartsMemory<S::kHeadDim>::kBytes;
  static_assert(2 * kPartsBytes <= Workspace::kScratchBytes);
  auto* parts = static_cast<char*>(workspace_of(stream).scratch.data);
  DecodeArgs args{.plan = attention_plan(stream),
                  .positions = a.batch.positions,
                  .page_table = a.batch.page_table,
                  .page_table_stride = a.batch.page_table_stride,
                  .out = a.out.as<bf16>(),
                  .log_sums = a.log_sums,
                  .qkv = a.qkv.as<bf16>(),
                  .keys = a.kv.k.as<bf16>(),
                  .values = a.kv.v.as<bf16>(),
                  .parts = parts,
                  .merged = parts + kPartsBytes,
                  .counters = attention_counters(stream),
                  .num_decode = a.batch.num_decode,
                  .num_heads = a.num_heads,
                  .num_kv_heads = a.num_kv_heads,
                  .scale_log2 = scale_log2(S::kHeadDim),
                  .split = a.kv.split};
  launch(stream, {dim3(static_cast<unsigned>(blocks)), dim3(kDecodeThreads), kSharedBytes<S>},
         decode<S>, args);
}

// Where an SM has 100 KB there is one block of 128 dims or two of 64, with 164 KB two and three.
using Shape128 = DecodeShape<128, 4, 1, 2, 16>;
using Shape64 = DecodeShape<64, 4, 2, 4, 8>;

// How many blocks of a shape share an SM.
template <class S>
int g_blocks = 1;

template <class S>
void prepare(const SharedMemory& memory) {
  allow_blocks(reinterpret_cast<const void*>(decode<S>), kSharedBytes<S>);
  g_blocks<S> = S::kMostBlocks;
  while (g_blocks < S >> 1 && !memory.fits(kSharedBytes<S>, g_blocks<S>)) --g_blocks<S>;
}

template <class S>
DecodeCut cut() {
  int many = smaller(g_blocks<S> * num_sms(), kMaxDecodeCtas);
  int few = smaller(S::kFewBlocks * num_sms(), many);
  return {.ctas = many, .few_ctas = few, .few_tiles = many * S::kManyTiles, .min_tiles = kMinTiles};
}

}  // namespace

void prepare_decode(const SharedMemory& memory) {
  prepare<Shape128>(memory);
  prepare<Shape64>(memory);
}

DecodeCut decode_cut(int head_dim) { return head_dim == 128 ? cut<Shape128>() : cut<Shape64>(); }

void decode(Stream stream, const AttentionArgs& a) {
  if (a.kv.k.dim(3) == 128)
    launch_decode<Shape128>(stream, a, cut<Shape128>().ctas);
  else
    launch_decode<Shape64>(stream, a, cut<Shape64>().ctas);
}

}  // namespace ll::cuda::sm80
