#pragma once
// Attention of the persistent decode kernel. The positions of a KV head are cut into splits, each a
// run of whole blocks of positions; a split is one CTA's task, and leaves a part: sums over values
// that are not divided yet, with their maximum and weight [Dao et al. 2023, Flash-Decoding]. Every
// CTA then merges the parts for its slice of the outputs.
//
// A task's last block of positions, which holds the new position if any does, has a place of its
// own in shared memory and is there before the queries are known. Earlier blocks, which long
// contexts have, come through the ring, between the layer's qkv and o weights.
#include "base/numbers.h"
#include "kernels/cuda/decode_step/ring.cuh"

namespace ll::cuda {

constexpr int kOutputs = 2;  // of attention, to a word: a pair of bfloat16
constexpr float kMinusInfinity = -__builtin_huge_valf();

template <FusedShape kShape>
struct AttentionShape {
  static constexpr int kDim = kShape.head_dim, kGroup = kShape.group();
  static constexpr int kQueries = kGroup * kDim, kInputs = kQueries + 2 * kDim;  // q; new k, v
  static constexpr int kMaxSplits = max_splits(kShape), kPartWords = kDim + 2;
  static constexpr int kMostBlocks =  // of a task
      ceil_div(kMaxPositions / kBlockPositions, kMaxSplits);
  static constexpr int kBlockElements = kBlockPositions * kDim;  // of keys, or of values
  static constexpr int kBlockBytes = 2 * 2 * kBlockElements;     // of both
  // Scores: eight lanes share a position. Sums over values: a thread has two dims of kHeads heads.
  static constexpr int kKeyVectors = kDim / 64, kHeads = ceil_div(kGroup * kDim / 2, kConsumers);
  static_assert(kConsumers == 8 * kBlockPositions && kGroup <= kWarps);
  static_assert(kDim % 64 == 0 && kConsumers % (kDim / 2) == 0);
};

template <FusedShape kShape>
struct alignas(16) AttentionScratch {
  using S = AttentionShape<kShape>;
  float inputs[S::kInputs];              // the group's queries, the new key, the new value
  float rotated[S::kQueries + S::kDim];  // queries over sqrt(D), key; rounded to bfloat16 before
  float weights[2][S::kGroup][kBlockPositions];  // of alternate blocks; scores at first
  float rescale[2][S::kGroup];
};

// Which positions of which KV head a CTA attends to, and which of the outputs it merges. In shared
// memory, so that what follows from it is not kept in registers all the time.
struct AttentionTask {
  int num_splits;      // of each KV head
  int kv_head, split;  // split < num_splits: there is a task
  int first_block, last_block;
  int new_position;     // relative to the last block; kBlockPositions or more: not in it
  int64_t last_offset;  // of the last block, see block_offset
  int first_output, end_output;

  __device__ bool exists() const { return split < num_splits; }
  __device__ int num_blocks() const { return exists() ? last_block - first_block + 1 : 0; }
};

// As many splits as there are CTAs for, and whole blocks; last_offset is left out. Outputs are
// merged in units of kOutputs.
template <FusedShape kShape>
__device__ AttentionTask attention_task(int position) {
  constexpr unsigned kUnits = kShape.query_size() / kOutputs;
  auto cut = [](unsigned block) { return static_cast<int>(kUnits * block / gridDim.x * kOutputs); };
  int num_blocks = position / kBlockPositions + 1;
  int num_splits = min(num_blocks, AttentionShape<kShape>::kMaxSplits);
  int task = static_cast<int>(gridDim.x - 1 - blockIdx.x), split = task / kShape.kv_heads;
  int last_block = num_blocks * (split + 1) / num_splits - 1;
  return {.num_splits = num_splits,
          .kv_head = task % kShape.kv_heads,
          .split = split,
          .first_block = num_blocks * split / num_splits,
          .last_block = last_block,
          .new_position = position - last_block * kBlockPositions,
          .first_output = cut(blockIdx.x),
          .end_output = cut(blockIdx.x + 1)};
}

// Elements from a layer's first key to those of a block of positions.
template <FusedShape kShape>
__device__ int64_t block_offset(const FusedDecodeStep& step, int kv_head, int block) {
  constexpr int kBlocksPerPage = kPage / kBlockPositions;
  int64_t page = step.page_table[*step.slots * step.page_table_stride + block / kBlocksPerPage];
  return ((page * kShape.kv_heads + kv_head) * kPage + block % kBlocksPerPage * kBlockPositions) *
         kShape.head_dim;
}

// ---- one block of positions: in shared memory, keys [kBlockPositions, D], then values

// Eight lanes share a position; of each 64 dims, a lane has eight.
__device__ inline int lane_position() { return static_cast<int>(threadIdx.x) / 8; }
__device__ inline int lane_vector() { return static_cast<int>(threadIdx.x) % 8; }

// Scores into `weights`; `new_position`, if it is in this block, has the new key and is the last.
template <FusedShape kShape>
__device__ void score_block(const AttentionScratch<kShape>& scratch, const char* block,
                            int new_position, float (&weights)[kShape.group()][kBlockPositions]) {
  using S = AttentionShape<kShape>;
  auto* line = reinterpret_cast<const uint4*>(block) + lane_position() * (S::kDim / kVectorWidth) +
               lane_vector();
  float k[S::kKeyVectors][kVectorWidth], scores[S::kGroup] = {};
#pragma unroll
  for (int j = 0; j < S::kKeyVectors; ++j) {
    unpack(line[8 * j], k[j]);
    const float* new_key = scratch.rotated + S::kQueries + 64 * j + kVectorWidth * lane_vector();
    if (lane_position() == new_position) {
#pragma unroll
      for (int d = 0; d < kVectorWidth; ++d) k[j][d] = new_key[d];
    }
  }
  __syncwarp();
#pragma unroll
  for (int h = 0; h < S::kGroup; ++h) {
#pragma unroll
    for (int j = 0; j < S::kKeyVectors; ++j) {
      auto* q = reinterpret_cast<const float4*>(scratch.rotated + h * S::kDim + 64 * j) +
                2 * lane_vector();
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        float4 x = q[half];
        const float* y = k[j] + 4 * half;
        scores[h] += y[0] * x.x + y[1] * x.y + y[2] * x.z + y[3] * x.w;
      }
    }
  }
#pragma unroll
  for (int lanes = 1; lanes < 8; lanes *= 2) {
#pragma unroll
    for (int h = 0; h < S::kGroup; ++h) scores[h] += __shfl_xor_sync(kFullWarp, scores[h], lanes);
  }
  if (lane_vector() == 0) {
#pragma unroll
    for (int h = 0; h < S::kGroup; ++h)
      weights[h][lane_position()] = lane_position() <= new_position ? scores[h] : kMinusInfinity;
  }
}

// The running softmax of one head, in all lanes of the warp that has it.
struct RunningSoftmax {
  float max = kMinusInfinity, sum = 0;

  // Scores to weights; `rescale` is for what was summed with the weights of earlier blocks.
  __device__ void weigh(float (&weights)[kBlockPositions], float& rescale) {
    int lane = threadIdx.x % 32;
    float score = weights[lane], highest = fmaxf(max, warp_max(score));
    float weight = __expf(score - highest), factor = __expf(max - highest);
    weights[lane] = weight;
    if (lane == 0) rescale = factor;
    sum = sum * factor + warp_sum(weight);
    max = highest;
  }
};

// This thread's two dims of its kHeads heads (head group() and above: none).
template <FusedShape kShape>
struct ValueSums {
  using S = AttentionShape<kShape>;
  float x[S::kHeads][2] = {};

  static __device__ int first_head() { return threadIdx.x / (S::kDim / 2) * S::kHeads; }
  static __device__ int dim_pair() { return threadIdx.x % (S::kDim / 2); }

  // values [kBlockPositions, D]
  __device__ void add(const bf16* values, const float (&weights)[S::kGroup][kBlockPositions],
                      const float (&rescale)[S::kGroup]) {
    const float* w[S::kHeads];
#pragma unroll
    for (int h = 0; h < S::kHeads; ++h) {
      int head = min(first_head() + h, S::kGroup - 1);
      w[h] = weights[head];
      x[h][0] *= rescale[head];
      x[h][1] *= rescale[head];
    }
    auto* pairs = reinterpret_cast<const uint32_t*>(values) + dim_pair();
#pragma unroll 2
    for (int i = 0; i < kBlockPositions; i += 4) {
      float4 four[S::kHeads];
#pragma unroll
      for (int h = 0; h < S::kHeads; ++h) four[h] = *reinterpret_cast<const float4*>(w[h] + i);
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        uint32_t v = pairs[(i + j) * (S::kDim / 2)];
#pragma unroll
        for (int h = 0; h < S::kHeads; ++h) {
          float weight = j == 0 ? four[h].x : j == 1 ? four[h].y : j == 2 ? four[h].z : four[h].w;
          x[h][0] = fmaf(weight, low_half(v), x[h][0]);
          x[h][1] = fmaf(weight, high_half(v), x[h][1]);
        }
      }
    }
  }
};

// ---- a CTA's task

template <FusedShape kShape>
struct Attention {
  using S = AttentionShape<kShape>;

  const FusedArgs& args;
  AttentionTask task;
  const float2* angles;  // [D / 2] cosine and sine
  AttentionScratch<kShape>& scratch;

  // The word of input i.
  __device__ const uint64_t* source(int i) const {
    int head = i / S::kDim;
    if (head < S::kGroup)
      head += task.kv_head * S::kGroup;
    else
      head = kShape.heads + (head - S::kGroup) * kShape.kv_heads + task.kv_head;
    return args.words.qkv + head * S::kDim + i % S::kDim;
  }

  __device__ void await_inputs(uint32_t epoch) const {
    constexpr int kPairs = ceil_div(S::kInputs / 2, kConsumers);
    auto input_of = [](int c) { return 2 * static_cast<int>(threadIdx.x + c * kConsumers); };
    WordPair pairs[kPairs];
    await_pairs(
        [&](int c) {
          return PairSource{input_of(c) < S::kInputs, source(input_of(c))};
        },
        epoch, pairs);
#pragma unroll
    for (int c = 0; c < kPairs; ++c)
      if (input_of(c) < S::kInputs)
        *reinterpret_cast<float2*>(scratch.inputs + input_of(c)) = {float_of(pairs[c].x),
                                                                    float_of(pairs[c].y)};
    sync_consumers();
  }

  // Rotation of queries and the new key, and rounding, as if they had been stored.
  __device__ void rotate() const {
    constexpr int kCount = S::kQueries + S::kDim;
#pragma unroll
    for (int c = 0; c < ceil_div(kCount, kConsumers); ++c) {
      int i = static_cast<int>(threadIdx.x) + c * kConsumers;
      if (i >= kCount) break;
      float2 angle = angles[i % S::kDim / 2];
      float other = scratch.inputs[i ^ 1];
      float x = scratch.inputs[i] * angle.x + (i % 2 == 0 ? -other : other) * angle.y;
      x = widen(narrow(x));
      scratch.rotated[i] = i < S::kQueries ? x * rsqrtf(static_cast<float>(S::kDim)) : x;
    }
  }

  // The new position's value to its page and to the last block, its key to its page.
  __device__ void store_new(const FusedLayer& layer, bf16* block) const {
    int dim = threadIdx.x, line = task.new_position * S::kDim + dim;
    if (task.new_position >= kBlockPositions || dim >= S::kDim) return;
    bf16 value = narrow(scratch.inputs[S::kQueries + S::kDim + dim]);
    block[S::kBlockElements + line] = value;
    layer.values[task.last_offset + line] = value;
    layer.keys[task.last_offset + line] = narrow(scratch.rotated[S::kQueries + dim]);
  }

  __device__ uint64_t* part_of(int head) const {
    int group_head = task.kv_head * S::kGroup + head;
    return args.words.parts + (group_head * S::kMaxSplits + task.split) * S::kPartWords;
  }

  __device__ void publish(const RunningSoftmax& softmax, const ValueSums<kShape>& sums,
                          uint32_t epoch) const {
#pragma unroll
    for (int h = 0; h < S::kHeads; ++h) {
      int head = sums.first_head() + h;
      if (head < S::kGroup)
        store_pair(part_of(head) + 2 * sums.dim_pair(), flagged(sums.x[h][0], epoch),
                   flagged(sums.x[h][1], epoch));
    }
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    if (warp < S::kGroup && lane == 0)
      store_pair(part_of(warp) + S::kDim, flagged(softmax.max, epoch), flagged(softmax.sum, epoch));
  }

  // Leaves the task's part. `last`: a ring of one stage, the last block.
  __device__ void run(const FusedLayer& layer, uint32_t epoch, Ring& last, Ring& ring) const {
    await_inputs(epoch);
    rotate();
    sync_consumers();
    RunningSoftmax softmax;
    ValueSums<kShape> sums;
    auto finish_block = [&](int parity, const char* block) {
      int warp = threadIdx.x / 32;
      sync_consumers();
      if (warp < S::kGroup)
        softmax.weigh(scratch.weights[parity][warp], scratch.rescale[parity][warp]);
      sync_consumers();
      sums.add(reinterpret_cast<const bf16*>(block) + S::kBlockElements, scratch.weights[parity],
               scratch.rescale[parity]);
    };
    char* block = last.await();
    store_new(layer, reinterpret_cast<bf16*>(block));
    score_block<kShape>(scratch, block, task.new_position, scratch.weights[0]);
    finish_block(0, block);
    last.release();
    for (int i = 0; i < task.num_blocks() - 1; ++i) {
      int parity = (i + 1) % 2;
      block = ring.await();
      score_block<kShape>(scratch, block, kBlockPositions, scratch.weights[parity]);
      finish_block(parity, block);
      ring.release();
    }
    publish(softmax, sums, epoch);
  }
};

// ---- merging

// This CTA's slice of attention's output: a warp merges kOutputs neighbours at a time, a lane has
// the parts of one or two splits; all loads are in flight at once.
template <FusedShape kShape>
__device__ void merge_parts(const FusedWords& words, const AttentionTask& task, uint32_t epoch) {
  using S = AttentionShape<kShape>;
  constexpr int kStep = kWarps * kOutputs,
                kMost = kShape.query_size() / kShape.min_blocks + kOutputs;
  constexpr int kRounds = ceil_div(kMost, kStep), kLaneSplits = ceil_div(S::kMaxSplits, 32);
  int lane = threadIdx.x % 32, num_splits = task.num_splits, end = task.end_output;
  int first = task.first_output + static_cast<int>(threadIdx.x) / 32 * kOutputs;
  auto exists = [&](int round, int b) {
    return first + round * kStep < end && lane + 32 * b < num_splits;
  };
  // A part's pair with the output in even places, its maximum and weight in odd ones.
  WordPair loaded[kRounds * kLaneSplits * 2];
  await_pairs(
      [&](int i) {
        int round = i / (2 * kLaneSplits), b = i / 2 % kLaneSplits, output = first + round * kStep;
        int part = output / S::kDim * S::kMaxSplits + lane + 32 * b;
        int word = i % 2 == 0 ? output % S::kDim / 2 * 2 : S::kDim;
        return PairSource{exists(round, b), words.parts + part * S::kPartWords + word};
      },
      epoch, loaded);
  __syncwarp();
#pragma unroll
  for (int round = 0; round < kRounds; ++round) {
    const WordPair* parts = loaded + round * kLaneSplits * 2;
    int output = first + round * kStep;
    float max = kMinusInfinity, weight = 0, sums[2] = {};
#pragma unroll
    for (int b = 0; b < kLaneSplits; ++b)
      if (exists(round, b)) max = fmaxf(max, float_of(parts[2 * b + 1].x));
    max = warp_max(max);
#pragma unroll
    for (int b = 0; b < kLaneSplits; ++b) {
      if (!exists(round, b)) continue;
      float factor = __expf(float_of(parts[2 * b + 1].x) - max);
      weight += float_of(parts[2 * b + 1].y) * factor;
      sums[0] += float_of(parts[2 * b].x) * factor;
      sums[1] += float_of(parts[2 * b].y) * factor;
    }
    weight = warp_sum(weight);
    float low = warp_sum(sums[0]) / weight, high = warp_sum(sums[1]) / weight;
    if (lane == 0 && output < end)
      store_word(words.attention + output / 2, flagged(pack_pair(low, high), epoch));
  }
}

}  // namespace ll::cuda
