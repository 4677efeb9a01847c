#pragma once
// The arithmetic of a prefill CTA's warpgroups: a block of 128 keys and values into a running
// softmax of 64 rows. A thread has two rows, eight apart, and of each two columns in eight.
#include "kernels/cuda/attention/attention_outputs.cuh"
#include "kernels/cuda/attention/sm90/attention_sm90.h"
#include "kernels/cuda/ptx/portable.cuh"
#include "kernels/cuda/ptx/wgmma.cuh"

namespace ll::cuda {

template <int kDim, int kNumConsumers>
struct PrefillShape {
  static constexpr int kHeadDim = kDim, kConsumers = kNumConsumers;
  static constexpr int kRows = 64 * kConsumers, kThreads = 128 * (kConsumers + 1);
  static constexpr int kHalves = kHeadDim / 64;  // lines of 64 dims of one row or position
  static constexpr int kStages = kHeadDim == 128 ? 2 : 4;
  // What is left of 65,536 registers when the producer keeps few.
  static constexpr int kProducerRegisters = kConsumers == 2 ? 40 : 32;
  static constexpr int kConsumerRegisters = kConsumers == 2 ? 232 : 160;
};

struct RowPair {
  float max[2] = {-kInfinity, -kInfinity};  // of the scores
  float sum[2] = {0, 0};                    // of the probabilities in this thread's columns
  int position[2];
};

// The first of this thread's rows in the tile.
__device__ inline int thread_row() {
  int thread = static_cast<int>(threadIdx.x) - 128;
  return thread / 128 * 64 + thread % 128 / 32 * 16 + thread % 32 / 4;
}

template <class S>
__device__ void multiply_keys(float (&scores)[64], const bf16* q, const bf16* k) {
#pragma unroll
  for (int step = 0; step < S::kHeadDim / 16; ++step)
    multiply(scores, tile_descriptor(q + step / 4 * S::kRows * 64 + step % 4 * 16),
             tile_descriptor(k + step / 4 * kBlockPositions * 64 + step % 4 * 16), step > 0);
}

template <class S>
__device__ void multiply_values(float (&out)[S::kHeadDim / 2], const uint32_t (&p)[32],
                                const bf16* v) {
#pragma unroll
  for (int step = 0; step < kBlockPositions / 16; ++step)
    multiply_registers(out, p + 4 * step,
                       tile_descriptor(v + step * 16 * 64, kBlockPositions * 128), true);
}

// No row sees positions behind its own. `begin`: of this thread's first column.
__device__ inline void mask_scores(float (&scores)[64], const RowPair& rows, int begin) {
#pragma unroll
  for (int i = 0; i < 64; ++i)
    if (i / 4 * 8 + i % 2 > rows.position[i / 2 % 2] - begin) scores[i] = -kInfinity;
}

// Scores become probabilities relative to the rows' maxima so far; what was summed up before must
// be scaled by `correction`.
__device__ inline void soften_scores(float (&scores)[64], RowPair& rows, float (&correction)[2],
                                     float scale) {
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    float top = rows.max[r];
#pragma unroll
    for (int j = 0; j < 16; ++j)
      top = fmaxf(top, fmaxf(scores[4 * j + 2 * r], scores[4 * j + 2 * r + 1]));
    top = fmaxf(top, __shfl_xor_sync(kFullWarp, top, 1));
    top = fmaxf(top, __shfl_xor_sync(kFullWarp, top, 2));
    // A row may see nothing of its last block.
    float offset = top == -kInfinity ? 0.0f : top * scale;
    correction[r] = exp2_fast(rows.max[r] * scale - offset);
    rows.max[r] = top;
    float sums[2] = {0, 0};
#pragma unroll
    for (int j = 0; j < 16; ++j)
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        float& x = scores[4 * j + 2 * r + e];
        x = exp2_fast(fmaf(x, scale, -offset));
        sums[e] += x;
      }
    rows.sum[r] = rows.sum[r] * correction[r] + (sums[0] + sums[1]);
  }
}

__device__ inline void round_scores(uint32_t (&p)[32], const float (&scores)[64]) {
#pragma unroll
  for (int i = 0; i < 32; ++i) p[i] = pack_pair(scores[2 * i], scores[2 * i + 1]);
}

}  // namespace ll::cuda
