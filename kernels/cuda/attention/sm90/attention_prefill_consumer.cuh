#pragma once
// A consumer warpgroup of a CTA whose rows stand in tiles: 64 of them. Of its items
// (attention_prefill_producer.cuh) a kernel says, too:
//
//   bool kMayBeNone                           whether a CTA may have none
//   int last_position(work, row) const        of those in the item's pages that the tile's row sees
//   void store<S>(work, rows, out) const      what a thread has of two rows: not yet divided by the
//                                             sums, each of which four threads have in parts
#include "kernels/cuda/attention/sm90/attention_prefill_producer.cuh"
#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/ptx/portable.cuh"
#include "kernels/cuda/ptx/registers.cuh"
#include "kernels/cuda/ptx/wgmma.cuh"

namespace ll::cuda {

constexpr int kWarpgroupBarrier = 1;  // named barriers, of each consumer warpgroup alone

// Complete sums of this thread's rows.
__device__ inline void complete_sums(RowPair& rows) {
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    rows.sum[r] += __shfl_xor_sync(kFullWarp, rows.sum[r], 1);
    rows.sum[r] += __shfl_xor_sync(kFullWarp, rows.sum[r], 2);
  }
}

template <class S, class Items>
__device__ void consume(PrefillShared<S>& shared, const Items& items) {
  int warpgroup = static_cast<int>(threadIdx.x) / 128 - 1, lane = threadIdx.x % 32;
  auto release = [&](uint64_t* empty) {
    if (lane == 0) arrive(empty);
  };
  RingPosition item_ring, k_ring, v_ring;
  float out[S::kHeadDim / 2] = {}, scores[64], correction[2];
  uint32_t p[32];
  RowPair rows;
  auto begin_rows = [&](const PrefillWork& work) {
    for (int r = 0; r < 2; ++r) {
      rows.max[r] = -kInfinity;
      rows.sum[r] = 0;
      rows.position[r] = items.last_position(work, thread_row() + 8 * r);
    }
  };
  auto issue_keys = [&] {
    begin_products();
    multiply_keys<S>(scores, shared.q[item_ring.stage][0] + warpgroup * 64 * 64,
                     shared.k[k_ring.stage][0]);
    commit_products();
  };
  auto issue_values = [&] {
    wait_barrier(&shared.v_full[v_ring.stage], v_ring.parity);
    begin_products();
    multiply_values<S>(out, p, shared.v[v_ring.stage][0]);
    commit_products();
  };
  auto settle_keys = [&] {
    settle(scores);
    release(&shared.k_empty[k_ring.stage]);
    k_ring.advance(S::kStages);
  };
  auto settle_values = [&] {
    wait_products<0>();
    settle(out);
    release(&shared.v_empty[v_ring.stage]);
    v_ring.advance(S::kStages);
  };
  // What lies behind the sequence, of the values at the diagonal; each warpgroup by itself: zeros
  // over zeros do no harm.
  auto zero_behind = [&](const PrefillWork& work) {
    int valid = work.kv_length - (work.num_blocks - 1) * kBlockPositions;
    if (valid >= kBlockPositions) return;
    wait_barrier(&shared.v_full[v_ring.stage], v_ring.parity);
    for (int half = 0; half < S::kHalves; ++half)
      zero_lines(shared.v[v_ring.stage][half], max(valid, 0), kBlockPositions);
    fence_shared_accesses();
    sync_some(kWarpgroupBarrier + warpgroup, 128);
  };

  wait_barrier(&shared.q_full[0], 0);
  if (Items::kMayBeNone && shared.work[0].num_blocks == 0) return;
  begin_rows(shared.work[0]);
  wait_barrier(&shared.k_full[0], 0);
  issue_keys();
  wait_products<0>();
  settle_keys();
  mask_scores(scores, rows, (shared.work[0].num_blocks - 1) * kBlockPositions + lane % 4 * 2);
  soften_scores(scores, rows, correction, items.scale_log2);
  round_scores(p, scores);
  zero_behind(shared.work[0]);
  int block = shared.work[0].num_blocks - 1;
  auto wait_for_keys = [&] {
    if (block > 0) wait_barrier(&shared.k_full[k_ring.stage], k_ring.parity);
  };
  wait_for_keys();
  for (;;) {
    const PrefillWork& work = shared.work[item_ring.stage];  // there are no registers to spare
    // From the diagonal back, so that only an item's first one or two blocks need a mask.
    while (--block >= 0) {
      issue_keys();
      issue_values();
      wait_products<1>();
      settle_keys();
      if ((block + 1) * kBlockPositions > rows.position[0] + 1)
        mask_scores(scores, rows, block * kBlockPositions + lane % 4 * 2);
      soften_scores(scores, rows, correction, items.scale_log2);
      settle(scores);
      wait_for_keys();  // its branches keep the compiler from waiting for O above the softmax
      settle_values();
#pragma unroll
      for (int i = 0; i < S::kHeadDim / 2; ++i) out[i] *= correction[i / 2 % 2];
      round_scores(p, scores);
    }

    // The next item's first block beside this one's last, so that no product waits for an item's
    // first softmax or for the stores.
    item_ring.advance(2);
    wait_barrier(&shared.q_full[item_ring.stage], item_ring.parity);
    const PrefillWork& next = shared.work[item_ring.stage];
    if (next.num_blocks == 0) {
      issue_values();
      settle_values();
      items.template store<S>(work, rows, out);
      return;
    }
    RowPair finished = rows;
    begin_rows(next);
    wait_barrier(&shared.k_full[k_ring.stage], k_ring.parity);
    issue_keys();
    issue_values();
    wait_products<1>();
    settle_keys();
    mask_scores(scores, rows, (next.num_blocks - 1) * kBlockPositions + lane % 4 * 2);
    soften_scores(scores, rows, correction, items.scale_log2);
    settle(scores);
    block = next.num_blocks - 1;
    wait_for_keys();
    settle_values();
    round_scores(p, scores);
    items.template store<S>(work, finished, out);
    __syncwarp();
    release(&shared.q_empty[item_ring.stage ^ 1]);
    zero_behind(next);
#pragma unroll
    for (int i = 0; i < S::kHeadDim / 2; ++i) out[i] = 0;
  }
}

// A CTA's work: warpgroup 0 feeds the others.
template <class S, class Items>
__device__ void run_items(const CUtensorMap& q_map, const CUtensorMap& k_map,
                          const CUtensorMap& v_map, const Items& items) {
  auto& shared = *reinterpret_cast<PrefillShared<S>*>(dynamic_shared());
  if (threadIdx.x == 0) {
    set_up(shared);
    prefetch_map(&q_map);
    prefetch_map(&k_map);
    prefetch_map(&v_map);
  }
  __syncthreads();
  if (!Items::kLoadsEarly) wait_for_previous();
  let_next_start();
  if (threadIdx.x < 128) {
    shrink_registers<S::kProducerRegisters>();
    if (threadIdx.x == 0) {
      if (!Items::kLoadsEarly) fence_copy_engine();
      produce<S>(shared, q_map, k_map, v_map, items);
    }
  } else {
    grow_registers<S::kConsumerRegisters>();
    if (Items::kLoadsEarly) wait_for_previous();
    consume<S>(shared, items);
  }
}

}  // namespace ll::cuda
