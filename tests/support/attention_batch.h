#pragma once
// Steps of decode rows and chunks for tests of attention, in shuffled pages.
#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

#include "kernels/ops.h"
#include "tests/support/device.h"

namespace ll::test {

struct Heads {
  int32_t heads, kv_heads;
  int64_t dim;
};

struct AttentionResult {
  std::vector<float> out, log_sums;
};

// `rows` new positions after `cached` ones. Decode sequences (rows == 1, decode) come first; one
// with `cached` -1 is an unused row.
struct Piece {
  int32_t cached, rows;
  bool decode = false;
};

inline std::vector<Piece> decode_rows(const std::vector<int32_t>& lengths) {
  std::vector<Piece> pieces;
  for (int32_t length : lengths) pieces.push_back({length - 1, 1, true});
  return pieces;
}

struct AttentionBatch {
  std::vector<int32_t> positions, slots, table;
  std::vector<Chunk> chunks;
  int32_t num_decode = 0;
  int64_t stride = 0, num_pages = 0;

  // One page belongs to nobody. Where ranks share the positions, pages are those of one rank.
  AttentionBatch(const std::vector<Piece>& pieces, int page_size, const PositionSplit& split = {}) {
    for (const Piece& p : pieces)
      stride =
          std::max<int64_t>(stride, ceil_div(split.count(p.cached + p.rows), int32_t{page_size}));
    stride = std::max<int64_t>(stride, 1);
    num_pages = stride * static_cast<int64_t>(pieces.size()) + 1;
    std::vector<int32_t> pages(static_cast<size_t>(num_pages));
    std::iota(pages.begin(), pages.end(), 0);
    std::shuffle(pages.begin(), pages.end(), std::mt19937(7));
    table.assign(pages.begin(), pages.end() - 1);
    for (size_t i = 0; i < pieces.size(); ++i) {
      auto slot = static_cast<int32_t>(i), row = static_cast<int32_t>(positions.size());
      if (pieces[i].decode)
        ++num_decode;
      else
        chunks.push_back({slot, row, pieces[i].rows, pieces[i].cached});
      for (int32_t r = 0; r < pieces[i].rows; ++r) {
        positions.push_back(pieces[i].cached + r);
        slots.push_back(slot);
      }
    }
  }

  int64_t num_rows() const { return static_cast<int64_t>(positions.size()); }
};

// A batch on the device; `batch` must outlive it.
class DeviceBatch {
 public:
  DeviceBatch(const AttentionBatch& batch, int page_size)
      : positions_(upload_ints(batch.positions)),
        slots_(upload_ints(batch.slots)),
        table_(upload_ints(batch.table)),
        chunks_(upload_structs(batch.chunks)),
        view_{static_cast<int32_t>(batch.num_rows()),
              batch.num_decode,
              data_of<int32_t>(positions_),
              data_of<int32_t>(slots_),
              data_of<int32_t>(table_),
              batch.stride,
              batch.chunks,
              data_of<Chunk>(chunks_),
              static_cast<int32_t>(batch.stride * page_size)} {}

  const BatchView& view() const { return view_; }

 private:
  Tensor positions_, slots_, table_, chunks_;
  BatchView view_;
};

}  // namespace ll::test
