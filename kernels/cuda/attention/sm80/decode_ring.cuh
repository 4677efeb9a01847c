#pragma once
// A warp's ring: copies what the warp will need some units ahead of where it computes.
#include "kernels/cuda/attention/sm80/decode_run.cuh"
#include "kernels/cuda/attention/sm80/decode_shape.cuh"
#include "kernels/cuda/ptx/async_copy.cuh"

namespace ll::cuda::sm80 {

// Keys and values of the run's tiles in turns, each a group of copies; behind the run's end groups
// are empty.
template <class S>
class DecodeRing {
 public:
  __device__ DecodeRing(const DecodeArgs& args, uint8_t (&slots)[S::kSlots][S::kUnitBytes],
                        const RunStart& start)
      : args_(args), places_(args, start), slots_(shared_address(slots)) {
    for (int i = 0; i + 1 < S::kSlots; ++i) load_next();
  }

  // The next unit, once what all lanes have copied of it is there. The one before is not needed any
  // more: its slot is filled again.
  __device__ uint32_t take() {
    wait_copies<S::kSlots - 2>();
    __syncwarp();
    load_next();
    uint32_t taken = slots_ + taken_;
    taken_ = after(taken_);
    return taken;
  }

 private:
  static __device__ uint32_t after(uint32_t offset) {
    return offset == (S::kSlots - 1) * S::kUnitBytes ? 0 : offset + S::kUnitBytes;
  }

  __device__ void load_next() {
    if (!is_values_) {
      is_there_ = !places_.is_over();
      if (is_there_) place_ = places_.next();
    }
    copy(is_values_ ? args_.values : args_.keys, slots_ + loaded_);
    is_values_ = !is_values_;
    loaded_ = after(loaded_);
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
  uint32_t slots_, taken_ = 0, loaded_ = 0;  // bytes from slots_ on: the next ones
  int32_t place_ = 0;  // of the tile whose keys were loaded last, if it is there
  bool is_there_ = false, is_values_ = false;
};

}  // namespace ll::cuda::sm80
