#pragma once
// The two kernels of the row sm80: decode rows, and chunks of prompts, by what every GPU from 8.0
// on has (mma.sync, ldmatrix, cp.async). Head dimensions 64 and 128, up to kMaxGroup query heads a
// KV head; they follow the step's plan (attention_plan.cuh).
#include "kernels/cuda/attention/attention_plan.cuh"
#include "kernels/ops.h"

namespace ll::cuda::sm80 {

// What a device has of it: bytes of an SM, which keeps 1 KB of each block for itself.
struct SharedMemory {
  size_t sm_bytes;

  constexpr bool fits(size_t block_bytes, int blocks) const {
    return static_cast<size_t>(blocks) * (block_bytes + 1024) <= sm_bytes;
  }
};

// Which kernels suit a device with so much, and how many blocks of them share an SM.
void prepare_decode(const SharedMemory& memory);
void prepare_prefill(const SharedMemory& memory);
void prepare(const SharedMemory& memory);  // both

// How to cut a step.
DecodeCut decode_cut(int head_dim);
PrefillCut prefill_cut(int head_dim);

// Lets blocks of a kernel have as much shared memory, and as many of them share an SM as can.
void allow_blocks(const void* kernel, size_t shared_bytes);

void decode(Stream stream, const AttentionArgs& a);
void prefill(Stream stream, const AttentionArgs& a);

}  // namespace ll::cuda::sm80
