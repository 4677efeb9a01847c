#pragma once
// Shared memory of a block of the persistent decode kernel: what it holds, and how it begins.
#include "base/numbers.h"
#include "kernels/cuda/decode_step/attention.cuh"

namespace ll::cuda {

template <FusedShape s>
struct Products {
  using Qkv = Product<s, s.qkv_size(), s.hidden>;
  using O = Product<s, s.hidden, s.query_size()>;
  using GateUp = Product<s, 2 * s.ffn, s.hidden, 4>;  // two outputs, a word
  using Down = Product<s, s.hidden, s.ffn>;
  using Head = Product<s, s.vocab, s.hidden>;

  static constexpr int kStageBytes =
      round_up(std::max({Qkv::kStageBytes, O::kStageBytes, Down::kStageBytes,
                         AttentionShape<s>::kBlockBytes}),
               128);
  static constexpr int kMostSums =
      std::max({Qkv::kMostRows * Qkv::kSegments, O::kMostRows* O::kSegments,
                GateUp::kMostRows* GateUp::kSegments, Down::kMostRows* Down::kSegments,
                Head::kMostRows* Head::kSegments});
  static constexpr int kMostInputs = std::max({s.hidden, s.query_size(), s.ffn});
  // A thread finishes a row of these.
  static_assert(Qkv::kMostRows <= kConsumers && O::kMostRows <= kConsumers);
};

template <FusedShape kShape>
struct SharedMemory {
  using P = Products<kShape>;

  uint64_t full[kMaxStages], empty[kMaxStages];
  uint64_t last_full, last_empty;
  float warp_sums[kWarps];
  float residual[P::O::kMostRows];
  Share shares[kNumMatrices];
  AttentionTask task;
  int64_t block_offsets[AttentionShape<kShape>::kMostBlocks];  // of the task's blocks in the ring
  float2 angles[kShape.head_dim / 2];
  alignas(128) uint4 last_block[AttentionShape<kShape>::kBlockBytes / sizeof(uint4)];
  union {
    struct {
      alignas(128) bf16 x[P::kMostInputs];
      float sums[P::kMostSums];
    } product;
    AttentionScratch<kShape> attention;
  };
  // then the layers, and the ring
};

template <FusedShape kShape>
__device__ SharedMemory<kShape>& shared_memory() {
  return *reinterpret_cast<SharedMemory<kShape>*>(dynamic_shared());
}
template <FusedShape kShape>
__device__ FusedLayer* shared_layers() {
  return reinterpret_cast<FusedLayer*>(&shared_memory<kShape>() + 1);
}
template <FusedShape kShape>
__device__ Ring make_ring(const FusedArgs& a) {
  SharedMemory<kShape>& shared = shared_memory<kShape>();
  char* stages = reinterpret_cast<char*>(shared_layers<kShape>()) + layer_bytes(a.num_layers);
  return {stages, shared.full, shared.empty, a.num_stages, Products<kShape>::kStageBytes, {}};
}

// For the last block of positions of the attention task.
template <FusedShape kShape>
__device__ Ring make_last_block() {
  SharedMemory<kShape>& shared = shared_memory<kShape>();
  return {
      reinterpret_cast<char*>(shared.last_block), &shared.last_full, &shared.last_empty, 1, 0, {}};
}

// Nothing here depends on earlier kernels.
template <FusedShape kShape>
__device__ void set_up(const FusedArgs& a) {
  using P = Products<kShape>;
  SharedMemory<kShape>& shared = shared_memory<kShape>();
  auto* from = reinterpret_cast<const uint64_t*>(a.layers);
  auto* to = reinterpret_cast<uint64_t*>(shared_layers<kShape>());
  int count = a.num_layers * static_cast<int>(sizeof(FusedLayer) / sizeof(uint64_t));
  for (int i = threadIdx.x; i < count; i += kThreads) to[i] = from[i];
  // What no copy reaches is multiplied by zero, so it must be finite.
  for (int i = threadIdx.x; i < AttentionShape<kShape>::kBlockBytes / 16; i += kThreads)
    shared.last_block[i] = make_uint4(0, 0, 0, 0);
  order_shared_accesses();
  int warp = threadIdx.x / 32;
  if (threadIdx.x % 32 == 0) {
    if (warp == kQkv) shared.shares[kQkv] = P::Qkv::share();
    if (warp == kO) shared.shares[kO] = P::O::share();
    if (warp == kGateUp) shared.shares[kGateUp] = P::GateUp::share();
    if (warp == kDown) shared.shares[kDown] = P::Down::share();
    if (warp == kHead) shared.shares[kHead] = P::Head::share();
  }
  if (threadIdx.x == kConsumers) {
    for (int s = 0; s < a.num_stages; ++s) {
      init_stage_barrier(shared.full + s, kProducers);
      init_stage_barrier(shared.empty + s, kConsumers);
    }
    init_stage_barrier(&shared.last_full, kProducers);
    init_stage_barrier(&shared.last_empty, kConsumers);
    publish_stage_barriers();
  }
  __syncthreads();
}

}  // namespace ll::cuda
