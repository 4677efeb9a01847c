#pragma once
// What brings a prefill block its pages and queries; all threads take part.
#include "kernels/cuda/attention/sm80/prefill_shape.cuh"
#include "kernels/cuda/ptx/async_copy.cuh"

namespace ll::cuda::sm80 {

// Copies a sequence's pages of one KV head from the last one back, keys before values, each to the
// next slot and as a group of its own; behind the first page's values groups are empty.
template <class S>
class PageRing {
 public:
  __device__ PageRing(const PrefillArgs& args, const PrefillTile& tile, int kv_head, uint32_t slots)
      : args_(args),
        ids_(args.page_table + tile.slot * args.page_table_stride),
        slots_(slots),
        taken_(slots + (S::kSlots - 1) * S::kSlotBytes),
        kv_head_(kv_head),
        kv_length_(tile.kv_length),
        block_(tile.num_blocks - 1),
        next_id_(ids_[block_]) {}

  // All slots but one.
  __device__ void fill() {
    for (int i = 0; i + 1 < S::kSlots; ++i) load_next();
  }

  // The next slot, once it is there; the one before is then filled again, as all warps are done
  // with it.
  __device__ uint32_t take() {
    wait_copies<S::kSlots - 2>();
    __syncthreads();
    load_next();
    taken_ = taken_ == slots_ + (S::kSlots - 1) * S::kSlotBytes ? slots_ : taken_ + S::kSlotBytes;
    return taken_;
  }

 private:
  __device__ void load_next() {
    if (block_ >= 0) {
      if (!is_values_) line_ = (next_id_ * args_.num_kv_heads + kv_head_) * kPagePositions;
      copy_page(is_values_ ? args_.values : args_.keys);
      if (is_values_)
        --block_;
      else
        next_id_ = ids_[block_ > 0 ? block_ - 1 : 0];  // under way until its keys' turn
      is_values_ = !is_values_;
      slot_ = slot_ + 1 == S::kSlots ? 0 : slot_ + 1;
    }
    commit_copies();
  }

  // What a page holds behind its sequence may be anything, NaN too, and zero times that is not
  // zero: it becomes zeros here.
  __device__ void copy_page(const bf16* pool) {
    using Rows = HeadRows<S::kHeadDim>;
    constexpr int kRowsAtOnce = kPrefillThreads / Rows::kChunks;
    int row = threadIdx.x / Rows::kChunks, chunk = threadIdx.x % Rows::kChunks;
    int valid = kv_length_ - block_ * kPagePositions;
    const bf16* from = pool + int64_t{line_} * S::kHeadDim + 8 * static_cast<int>(threadIdx.x);
    uint32_t to = slots_ + slot_ * S::kSlotBytes + Rows::offset(row, chunk);
#pragma unroll
    for (int i = 0; i < kPagePositions; i += kRowsAtOnce)
      copy_async(Rows::rows_on(to, i), from + i * S::kHeadDim, row + i < valid);
  }

  const PrefillArgs& args_;
  const int32_t* ids_;
  uint32_t slots_, taken_, slot_ = 0;
  int kv_head_, kv_length_, block_, next_id_, line_ = 0;
  bool is_values_ = false;
};

// Rows of tokens behind the tile's end become zeros. Belongs to the group of copies that ends next.
template <class S>
__device__ void copy_queries(const PrefillArgs& a, const PrefillTile& tile, int kv_head,
                             uint32_t to) {
  using Rows = HeadRows<S::kHeadDim>;
  int chunk = threadIdx.x % Rows::kChunks;
  int64_t width = int64_t{a.num_heads + 2 * a.num_kv_heads} * S::kHeadDim;
#pragma unroll 4
  for (int row = threadIdx.x / Rows::kChunks; row < S::kRows;
       row += kPrefillThreads / Rows::kChunks) {
    TileRow at = TileRow::of(row, kv_head, a.pack);
    bool is_there = at.token < tile.num_tokens;
    int64_t line = tile.first_row + (is_there ? at.token : 0);
    copy_async(to + Rows::offset(row, chunk),
               a.qkv + line * width + at.head * S::kHeadDim + 8 * chunk, is_there);
  }
}

}  // namespace ll::cuda::sm80
