#pragma once
// Checksums of a weight file's tiles: of each the sum, modulo 2^64, of XXH64 of its rows, with the
// row's number in the tile as the seed. A sum does not depend on the order, so whoever reads a tile
// in pieces, with several threads, can still tell whether it is whole. A tile of a vector counts as
// one row.
#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <vector>

namespace ll {

struct StoredTensor;

struct TileRows {
  int64_t first = 0, count = 0;  // within the tile
};

// What whole rows of a tile add to its sum; `rows` are dense, each of `row_bytes`.
uint64_t sum_of_rows(std::span<const std::byte> rows, size_t row_bytes, int64_t first);

// The sums of one reading of a model, in which each row is read once. Thread-safe.
class TileSums {
 public:
  // Whether these rows and columns are some that count.
  static bool takes(const StoredTensor& tensor, int64_t rows, int64_t cols);

  // `sum` is that of `num_rows` rows of a tile. Throws Error when the tile is complete and is not
  // what the file was made with.
  void add(const StoredTensor& tensor, size_t tile, int64_t num_rows, uint64_t sum);

 private:
  struct Seen {
    uint64_t sum = 0;
    int64_t num_rows = 0;
  };
  std::mutex mutex_;
  std::map<const StoredTensor*, std::vector<Seen>> seen_;  // by tile
};

}  // namespace ll
