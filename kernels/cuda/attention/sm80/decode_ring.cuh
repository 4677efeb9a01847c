#pragma once
// A warp's ring: copies what the warp will need some stages ahead of where it computes.
#include "kernels/cuda/attention/sm80/decode_run.cuh"
#include "kernels/cuda/attention/sm80/decode_shape.cuh"
#include "kernels/cuda/ptx/async_copy.cuh"

namespace ll::cuda::sm80 {

// Keys and values of the run's tiles in turns, a group of copies each; behind the run's end groups
// are empty.
template <class S>
class DecodeRing {
 public:
  using Stage = typename DecodeShared<S>::Stage;
  // All but these are there when a unit's keys, or values, are computed on: all copies behind them
  // but one are under way then, and that one goes to the slot that the step before has emptied.
  static constexpr int kUnderWay = 2 * S::kStages - 2;

  __device__ DecodeRing(const DecodeArgs& args, Stage* ring, const RunStart& start)
      : args_(args), places_(args, start), ring_(shared_address(ring)) {
    for (int i = 0; i < S::kStages; ++i) {
      load_keys();
      if (i + 1 < S::kStages) load_values();
    }
  }

  // Where the oldest stage is, once its keys are there; its values are S::kUnitBytes on.
  __device__ uint32_t take_keys() {
    wait_for_all();
    load_values();
    return ring_ + stage_ * static_cast<uint32_t>(sizeof(Stage));
  }
  // Waits for the values of that stage. The keys are not needed any more.
  __device__ void take_values() {
    wait_for_all();
    load_keys();
  }
  // Goes on to the next stage.
  __device__ void release() { stage_ = after(stage_); }

 private:
  static __device__ uint32_t after(uint32_t stage) {
    return stage + 1 == S::kStages ? 0 : stage + 1;
  }

  // What the other lanes copied is there, and they are done with the slot before.
  __device__ void wait_for_all() {
    wait_copies<kUnderWay>();
    __syncwarp();
  }

  __device__ void load_keys() {
    is_there_ = !places_.is_over();
    if (is_there_) place_ = places_.next();
    copy(args_.keys, ring_ + key_stage_ * static_cast<uint32_t>(sizeof(Stage)));
    key_stage_ = after(key_stage_);
  }
  // Of the tile whose keys were loaded last.
  __device__ void load_values() {
    copy(args_.values, ring_ + value_stage_ * static_cast<uint32_t>(sizeof(Stage)) + S::kUnitBytes);
    value_stage_ = after(value_stage_);
  }

  // This warp's positions of the tile at place_, one run of memory. What a page holds behind its
  // sequence may be anything, NaN too, and zero times that is not zero: it becomes zeros here.
  __device__ void copy(const bf16* pool, uint32_t to) {
    using Rows = HeadRows<S::kHeadDim>;
    constexpr int kRowsAtOnce = 32 / Rows::kChunks;
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, row = lane / Rows::kChunks;
    int valid = is_there_ ? TilePlace::positions(place_) - warp * kUnit : 0;
    if (valid > 0) {
      int64_t line = TilePlace::line(place_) + warp * kUnit;
      const bf16* from = pool + line * S::kHeadDim + 8 * lane;
      to += Rows::offset(row, lane % Rows::kChunks);
#pragma unroll
      for (int i = 0; i < kUnit; i += kRowsAtOnce)
        copy_async(Rows::rows_on(to, i), from + i * S::kHeadDim, row + i < valid);
    }
    commit_copies();
  }

  const DecodeArgs& args_;
  PlaceWalk places_;
  uint32_t ring_;
  uint32_t stage_ = 0, key_stage_ = 0, value_stage_ = 0;
  int32_t place_ = 0;  // of the tile whose keys were loaded last, if it is there
  bool is_there_ = false;
};

}  // namespace ll::cuda::sm80
