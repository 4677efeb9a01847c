#pragma once
// The producer warp of the persistent decode kernel: all that comes to shared memory in a step.
#include "kernels/cuda/decode_step/memory.cuh"

namespace ll::cuda {

// The offsets of the task's blocks to shared memory, a lane each at a time.
template <FusedShape kShape>
__device__ void find_blocks(const FusedArgs& a, const AttentionTask& task) {
  for (int i = threadIdx.x % 32; i < task.num_blocks(); i += 32)
    shared_memory<kShape>().block_offsets[i] =
        block_offset<kShape>(a.step, task.kv_head, task.first_block + i);
  __syncwarp();
  order_global_accesses();  // keys and values are earlier kernels' ordinary writes
}

// The first `num_positions` of block i of the task.
template <FusedShape kShape>
__device__ void copy_block(Ring& to, const FusedLayer& layer, int i, int num_positions) {
  int64_t offset = shared_memory<kShape>().block_offsets[i];
  auto bytes = static_cast<uint32_t>(num_positions) * kShape.head_dim * 2;
  char* stage = to.claim(2 * bytes);
  if (bytes > 0) {
    to.copy(stage, layer.keys + offset, bytes);
    to.copy(stage + AttentionShape<kShape>::kBlockBytes / 2, layer.values + offset, bytes);
  }
  to.fill();
}

template <FusedShape kShape>
__device__ void produce(const FusedArgs& a) {
  const FusedLayer* layers = shared_layers<kShape>();
  Ring ring = make_ring<kShape>(a), last = make_last_block<kShape>();
  bool copies = threadIdx.x % 32 < kProducers;
  int num_early = 0;
  WeightCursor cursor{layers, a.lm_head, shared_memory<kShape>().shares, kHead * a.num_layers};
  cursor.open(0);
  if (copies)
    for (; num_early < ring.num_stages && cursor.left > 0; ++num_early) copy_stage(ring, cursor);
  int position = *a.step.positions;
  if (position < 0) {  // what is under way must arrive before the memory is given back
    if (copies)
      for (int s = 0; s < num_early; ++s) wait_stage(ring.full + s, 0);
    return;
  }
  AttentionTask task = attention_task<kShape>(position);
  int num_blocks = task.num_blocks();
  find_blocks<kShape>(a, task);
  if (!copies) return;
  for (int m = 0; m <= cursor.last; ++m) {
    bool is_qkv = m % kHead == kQkv && m < cursor.last;
    const FusedLayer& layer = layers[m / kHead];
    if (is_qkv && num_blocks > 0)
      copy_block<kShape>(last, layer, num_blocks - 1, min(task.new_position, kBlockPositions));
    if (m > 0) cursor.open(m);
    while (cursor.left > 0) copy_stage(ring, cursor);
    for (int i = 0; is_qkv && i < num_blocks - 1; ++i)
      copy_block<kShape>(ring, layer, i, kBlockPositions);
  }
}

}  // namespace ll::cuda
