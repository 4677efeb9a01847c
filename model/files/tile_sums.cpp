#include "model/files/tile_sums.h"

#include "base/check.h"
#include "base/hash/xxh64.h"
#include "model/files/weight_store_layout.h"

namespace ll {

uint64_t sum_of_rows(std::span<const std::byte> rows, size_t row_bytes, int64_t first) {
  uint64_t sum = 0;
  for (auto seed = static_cast<uint64_t>(first); !rows.empty(); ++seed) {
    sum += xxh64(rows.first(row_bytes), seed);
    rows = rows.subspan(row_bytes);
  }
  return sum;
}

bool TileSums::takes(const StoredTensor& tensor, int64_t rows, int64_t cols) {
  if (tensor.sums.empty()) return false;
  return tensor.is_vector() ? rows == tensor.tile_rows : cols == tensor.tile_cols;
}

void TileSums::add(const StoredTensor& tensor, size_t tile, int64_t num_rows, uint64_t sum) {
  std::lock_guard lock(mutex_);
  auto& seen = seen_[&tensor];
  seen.resize(tensor.sums.size());
  Seen& s = seen[tile];
  s.sum += sum;
  s.num_rows += num_rows;
  if (s.num_rows != tensor.tile_rows || s.sum == tensor.sums[tile]) return;
  auto row = static_cast<int64_t>(tile) / tensor.grid_cols() * tensor.tile_rows,
       col = static_cast<int64_t>(tile) % tensor.grid_cols() * tensor.tile_cols;
  fail(
      "{}: damaged: rows {} to {} and columns {} to {} of tensor {} are not what was converted; "
      "copy or convert it again",
      tensor.file->path(), row, row + tensor.tile_rows - 1, col, col + tensor.tile_cols - 1,
      tensor.name);
}

}  // namespace ll
