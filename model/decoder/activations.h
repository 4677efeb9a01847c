#pragma once
// The memory a step computes in, allocated once: what every grid has, and what its dimensions add.
#include "kernels/backend.h"
#include "model/config/model_config.h"
#include "model/shard/model_shard.h"

namespace ll {

// T: rows a step may have, rounded up to equal shares of the z ranks that share them; E: hidden
// columns of this rank; H, KH, F: its heads, KV heads and FFN columns; W: its columns of o_proj.
struct Activations {
  Tensor residual, normed, partial;  // [T, E]
  Tensor qkv;                        // [T, (H + 2 KH) D]
  Tensor attention;                  // [T, W]
  Tensor act;                        // [T, F]

  // A rank alone, bfloat16: of each layer's two norms, where they are deferred.
  Tensor row_squares;  // [2 L, kMostDeferredRows, kSquaresStride] of 8 bytes

  // x > 1:
  Tensor sum_squares;  // [T] float32
  Tensor wide;         // [T, max(2 F, (H + 2 KH) D)] of partial sums
  Tensor collected;    // [T, whole E]: hidden rows of the x ranks
  // x > 1 or z > 1:
  Tensor embedded;  // [T, whole E]
  // Ranks share KV positions:
  Tensor group_attention;             // [T, H D] over this rank's positions
  Tensor log_sums;                    // [T, H] float32
  Tensor sent_parts, received_parts;  // AttentionParts, one a rank
  // z > 1:
  Tensor own_qkv;     // [T, (H + 2 KH) D]: of own rows, for each merged column
  Tensor own_slices;  // [T, W]: of own rows, from each merged column
  Tensor addend;      // [T, E]
  Tensor hidden;      // [T, E]: the z ranks' rows

  Activations(const Backend& backend, const ModelPart& part, int64_t max_tokens);
  static size_t bytes(const ModelPart& part, int64_t max_tokens);
};

// How `rows` rows of attention travel between the ranks that share KV positions.
AttentionParts attention_parts(const ModelShard& shard, DType dtype, int64_t rows, void* data);

}  // namespace ll
