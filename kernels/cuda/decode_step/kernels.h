#pragma once
// The persistent decode kernels: what they are compiled for, what a launch gives them, and what the
// host must know about one. E: hidden size, F: FFN size, H and KH: query and KV heads, D: head dim,
// V: vocabulary, L: layers.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/numbers.h"
#include "kernels/cuda/device/kernel_family.h"
#include "kernels/dtype.h"
#include "kernels/fused_decode.h"

namespace ll::cuda {

struct FusedShape {
  int hidden, ffn, heads, kv_heads, head_dim, vocab;
  int min_blocks;  // arrays are sized for so many blocks, one an SM
  int ranks = 1;   // that have a part of heads, FFN and vocabulary each, these sizes

  constexpr int query_size() const { return heads * head_dim; }
  constexpr int qkv_size() const { return (heads + 2 * kv_heads) * head_dim; }
  constexpr int group() const { return heads / kv_heads; }  // query heads of a KV head
  // What each of so many ranks has of a model of this shape.
  constexpr FusedShape shared_by(int num_ranks) const {
    return {hidden,   ffn / num_ranks,   heads / num_ranks, kv_heads / num_ranks,
            head_dim, vocab / num_ranks, min_blocks,        num_ranks};
  }
  bool operator==(const FusedShape&) const = default;
};

// The fewest multiprocessors of GPUs of a family that the kernels are for: an H100's, an A10's.
constexpr int min_blocks(KernelFamily family) { return family == KernelFamily::kSm90 ? 132 : 72; }
constexpr int kMaxBlocks = 256;      // so many still have work each
constexpr int kMaxStages = 16;       // of the ring
constexpr int kPage = 64;            // positions of a KV page
constexpr int kBlockPositions = 32;  // positions attention takes at a time, half a page
constexpr int kMaxPositions = 32768;
constexpr int kMaxFusedRanks = 8;

// Attention of a KV head is cut into at most so many splits, a block each: one or two a lane of the
// warp that merges them.
constexpr int max_splits(const FusedShape& s) {
  int most = std::min(s.min_blocks / s.kv_heads, 64);
  return most > 32 ? most / 32 * 32 : most;
}

// A layer's pointers. A model's are an array in device memory, of which each block takes a copy.
struct FusedLayer {
  const bf16* weights[4];                        // qkv, o, gate_up, down: in the order of their use
  const bf16 *input_norm, *post_attention_norm;  // [E]
  const bf16* qkv_bias;                          // [(H + 2 KH) D]
  bf16 *keys, *values;                           // [num_pages, KH, kPage, D]
};

// The size of the layers' copy in shared memory; the ring that follows begins at a multiple of 128
// bytes.
constexpr size_t layer_bytes(int num_layers) {
  return round_up(static_cast<size_t>(num_layers) * sizeof(FusedLayer), size_t{128});
}

// What blocks tell each other, as flagged words (words.cuh), a rank's room. The residual stream is
// the sum of what the ranks have of it.
struct FusedWords {
  uint64_t* embedding;        // [ranks, E] float32, the residual stream as it begins
  uint64_t* attention_input;  // [ranks, E] float32, the residual stream
  uint64_t* qkv;              // [(H + 2 KH) D] float32
  uint64_t* parts;            // [H, max_splits, D + 2] float32: sums over values, maximum, weight
  uint64_t* attention;        // [H D / 2] pairs of bfloat16
  uint64_t* mlp_input;        // [ranks, E] float32, the residual stream
  uint64_t* act;              // [F / 2] pairs of bfloat16
};

constexpr size_t num_part_words(const FusedShape& s) {
  return static_cast<size_t>(s.heads) * static_cast<size_t>(max_splits(s)) *
         static_cast<size_t>(s.head_dim + 2);
}

struct FusedArgs {
  FusedDecodeStep step;
  const FusedLayer* layers;     // [L]
  const bf16 *embed, *lm_head;  // [V, E]
  const bf16* final_norm;       // [E]
  const float* cos_sin;         // [positions, D]
  FusedWords words;
  int64_t rooms[kMaxFusedRanks];  // bytes from this rank's room to those of all
  int rank, vocab_begin;
  uint32_t* epoch;  // of the next step; a step takes L + 1 of them
  float eps;
  int num_layers, num_stages;
};

struct FusedKernel {
  FusedShape shape;
  const void* function;  // __global__ void (FusedArgs)
  int num_threads;
  int stage_bytes, num_stages;  // of the ring; the number is a choice
  size_t fixed_bytes;           // of shared memory, beside the layers and the ring

  size_t shared_bytes(int num_layers, int stages) const {
    return fixed_bytes + layer_bytes(num_layers) +
           static_cast<size_t>(stages) * static_cast<size_t>(stage_bytes);
  }
};

// For the shapes of Qwen2.5 0.5B, 1.5B, 3B and 7B, on one rank and on two, compiled for the GPUs of
// a family; each model in a file of its own.
template <KernelFamily kFamily>
std::span<const FusedKernel> fused_decode_0_5b();
template <KernelFamily kFamily>
std::span<const FusedKernel> fused_decode_1_5b();
template <KernelFamily kFamily>
std::span<const FusedKernel> fused_decode_3b();
template <KernelFamily kFamily>
std::span<const FusedKernel> fused_decode_7b();

// On one, two and four ranks.
template <KernelFamily kFamily>
std::span<const FusedKernel> fused_decode_tiny();

// All of a family's.
template <KernelFamily kFamily>
std::vector<const FusedKernel*> fused_kernels();
template <>
std::vector<const FusedKernel*> fused_kernels<KernelFamily::kSm80>();
template <>
std::vector<const FusedKernel*> fused_kernels<KernelFamily::kSm90>();

}  // namespace ll::cuda
