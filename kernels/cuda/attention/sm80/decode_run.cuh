#pragma once
// What a decode block works on: its run of the flat list of tiles (attention_plan.cuh), group by
// group, and where the pages of a run lie.
#include <cstddef>

#include "kernels/cuda/attention/attention_outputs.cuh"

namespace ll::cuda::sm80 {

struct DecodeArgs {
  const AttentionPlan* plan;
  const int32_t *positions, *page_table;
  int64_t page_table_stride;
  bf16* out;                        // [T, H D]
  float* log_sums;                  // [T, H], or null
  const bf16 *qkv, *keys, *values;  // [T, (H + 2 KH) D]; pages [.., KH, kPagePositions, D]
  void *parts, *merged;             // PartsMemory's
  AttentionCounters* counters;
  int num_decode, num_heads, num_kv_heads;
  float scale_log2;
  PositionSplit split;

  __device__ int group() const { return num_heads / num_kv_heads; }
};

// A block's DecodeStart: a word in each lane of a warp, so that one read brings it.
class RunStart {
 public:
  __device__ explicit RunStart(const DecodeStart& start)
      : word_(__ldg(reinterpret_cast<const int32_t*>(&start) + threadIdx.x % 32)) {}

  __device__ int num_tiles() const { return word(offsetof(DecodeStart, num_tiles)); }
  __device__ int row() const { return word(offsetof(DecodeStart, row)); }
  __device__ int kv_head() const { return word(offsetof(DecodeStart, kv_head)); }
  __device__ int page() const { return word(offsetof(DecodeStart, page)); }
  __device__ int kv_length() const { return word(offsetof(DecodeStart, kv_length)); }
  __device__ int last_row() const { return word(offsetof(DecodeStart, last_row)); }
  __device__ GroupParts head() const { return parts(offsetof(DecodeStart, head)); }
  __device__ GroupParts tail() const { return parts(offsetof(DecodeStart, tail)); }
  // The place of the run's tile `lane`, in lanes below DecodeStart::kPlaces.
  __device__ int32_t lane_place() const {
    constexpr int kFirst = offsetof(DecodeStart, places) / 4;
    return __shfl_down_sync(kFullWarp, word_, kFirst);
  }

 private:
  __device__ int word(size_t offset) const {
    return __shfl_sync(kFullWarp, word_, static_cast<int>(offset / 4));
  }
  __device__ GroupParts parts(size_t offset) const {
    return {word(offset + offsetof(GroupParts, first_cta)),
            word(offset + offsetof(GroupParts, num_parts)),
            word(offset + offsetof(GroupParts, first_slot))};
  }

  int32_t word_;
};

// The pages of one group that a block has.
struct Group {
  int row, kv_head, first_page, num_pages;
  int kv_length;  // of the row

  __device__ bool is_whole() const { return num_pages == pages_of(kv_length); }
};

// The groups of a run, one after another.
class GroupWalk {
 public:
  __device__ GroupWalk(const DecodeRow* rows, int num_kv_heads, const RunStart& start)
      : rows_(rows),
        num_kv_heads_(num_kv_heads),
        tiles_left_(start.num_tiles()),
        row_(start.row()),
        kv_head_(start.kv_head()),
        page_(start.page()),
        kv_length_(start.kv_length()) {}

  // There is one until it has no pages.
  __device__ Group next() {
    Group group{row_, kv_head_, page_, smaller(tiles_left_, pages_of(kv_length_) - page_),
                kv_length_};
    tiles_left_ -= group.num_pages;
    if (tiles_left_ > 0) go_on();
    return group;
  }

 private:
  __device__ void go_on() {
    page_ = 0;
    if (++kv_head_ < num_kv_heads_) return;
    kv_head_ = 0;
    do kv_length_ = __ldg(&rows_[++row_].kv_length);
    while (kv_length_ == 0);
  }

  const DecodeRow* rows_;
  int num_kv_heads_, tiles_left_, row_, kv_head_, page_, kv_length_;
};

// The places (TilePlace) of a run's tiles in their order; a warp's lanes look up those of 32 tiles
// at once, and the first ones stand in the start.
class PlaceWalk {
 public:
  __device__ PlaceWalk(const DecodeArgs& args, const RunStart& start)
      : args_(args),
        num_tiles_(start.num_tiles()),
        first_row_(start.row()),
        last_row_(start.last_row()),
        first_in_row_(start.kv_head() * pages_of(start.kv_length()) + start.page()),
        window_end_(DecodeStart::kPlaces),
        lane_place_(start.lane_place()) {}

  __device__ bool is_over() const { return next_ >= num_tiles_; }

  // Not when it is over.
  __device__ int32_t next() {
    if (next_ == window_end_) look_up();
    return __shfl_sync(kFullWarp, lane_place_, next_++ - window_begin_);
  }

 private:
  __device__ void look_up() {
    window_begin_ = next_;
    window_end_ = next_ + 32;
    int tile = next_ + static_cast<int>(threadIdx.x % 32);
    if (tile >= num_tiles_) return;
    const DecodeRow* rows = args_.plan->rows;
    tile += __ldg(&rows[first_row_].first_tile) + first_in_row_;
    const DecodeRow& row = rows[row_of(rows, tile)];
    int length = __ldg(&row.kv_length), pages = pages_of(length);
    int within = tile - __ldg(&row.first_tile), page = within % pages;
    int id = __ldg(args_.page_table + __ldg(&row.slot) * args_.page_table_stride + page);
    lane_place_ =
        TilePlace::pack(id, args_.num_kv_heads, within / pages, length - page * kPagePositions);
  }

  // The last row that begins at a tile or before it: rows without tiles stand before the one that
  // has it.
  __device__ int row_of(const DecodeRow* rows, int tile) const {
    int low = first_row_, high = last_row_ + 1;
    while (high - low > 1) {
      int middle = (low + high) / 2;
      (__ldg(&rows[middle].first_tile) <= tile ? low : high) = middle;
    }
    return low;
  }

  const DecodeArgs& args_;
  int num_tiles_, first_row_, last_row_;
  int first_in_row_;  // the run's first tile among those of its row
  int next_ = 0, window_begin_ = 0, window_end_;
  int32_t lane_place_;  // of tile window_begin_ + lane
};

}  // namespace ll::cuda::sm80
