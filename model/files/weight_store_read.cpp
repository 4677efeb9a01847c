#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/printable.h"
#include "model/files/weight_store_layout.h"

namespace ll {

namespace {

constexpr int64_t kStripBytes = 512 << 10;  // stays in the processor's second-level cache
constexpr int64_t kSkipBytes =
    4 << 10;  // a gap this wide costs more to read than a call to skip it

// to_float(f16) of kernels/dtype.h, without its branch and inline: 2^112 moves the exponent's bias,
// exactly.
float widen(f16 x) {
  uint32_t magnitude = uint32_t{x.bits & 0x7fffu} << 13, sign = uint32_t{x.bits & 0x8000u} << 16;
  uint32_t special = magnitude >= 0x0f800000u ? 0x7f800000u : 0;  // infinity and NaN
  auto bits = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) * 0x1p112f);
  return std::bit_cast<float>((special ? special | magnitude : bits) | sign);
}
float widen(bf16 x) { return to_float(x); }
float widen(float x) { return x; }

template <class To, class From>
void convert(const std::byte* from, std::byte* to, int64_t n) {
  const auto* source = reinterpret_cast<const From*>(from);
  auto* target = reinterpret_cast<To*>(to);
  for (int64_t i = 0; i < n; ++i) target[i] = from_float<To>(widen(source[i]));
}

using Convert = void (*)(const std::byte* from, std::byte* to, int64_t n);

template <class To>
Convert converter_to(DType from) {
  switch (from) {
    case DType::bf16:
      return convert<To, bf16>;
    case DType::f16:
      return convert<To, f16>;
    case DType::f32:
      return convert<To, float>;
    default:
      return nullptr;
  }
}

Convert converter(DType from, DType to) {
  Convert function = to == DType::bf16  ? converter_to<bf16>(from)
                     : to == DType::f32 ? converter_to<float>(from)
                                        : nullptr;
  ensure(function != nullptr, "weights are read as bfloat16, float32 or as they are stored");
  return function;
}

// The dense result; element (0, 0) is that of `part`'s corner.
struct Target {
  const ShardSpec& part;
  DType dtype;
  std::byte* data;

  std::byte* at(int64_t row, int64_t col) const {
    int64_t index = (row - part.rows.begin) * part.cols.size + col - part.cols.begin;
    return data + index * static_cast<int64_t>(size_of(dtype));
  }
};

// Kept from call to call: fresh memory of this size would cost more page faults than the read
// itself.
std::byte* scratch(int64_t bytes) {
  static thread_local std::vector<std::byte> memory;
  if (std::ssize(memory) < bytes) memory.resize(static_cast<size_t>(bytes));
  return memory.data();
}

Range intersect(Range a, Range b) {
  int64_t begin = std::max(a.begin, b.begin);
  return {begin, std::min(a.end(), b.end()) - begin};
}

// What is read of one tile: the block, where its first element lies, and who is shown it.
struct TileBlock {
  size_t tile;
  int64_t first_row;  // of the tile
  Range rows, cols;   // of the tensor
  uint64_t offset;
  TileSums* sums;  // null: nobody
};

// What is read of a block, piece by piece.
class BlockSum {
 public:
  BlockSum(const StoredTensor& tensor, const TileBlock& block)
      : tensor_(tensor),
        block_(block),
        counts_(block.sums && TileSums::takes(tensor, block.rows.size, block.cols.size)) {}

  // Dense rows of the tile, from row `row` of the tensor on.
  void add(const std::byte* data, int64_t row, int64_t count) {
    if (!counts_) return;
    auto row_bytes = static_cast<size_t>(tensor_.tile_cols) * size_of(tensor_.dtype);
    std::span rows(data, static_cast<size_t>(count) * row_bytes);
    sum_ +=
        sum_of_rows(rows, tensor_.is_vector() ? rows.size() : row_bytes, row - block_.first_row);
  }
  void finish() const {
    if (counts_) block_.sums->add(tensor_, block_.tile, block_.rows.size, sum_);
  }

 private:
  const StoredTensor& tensor_;
  const TileBlock& block_;
  bool counts_;
  uint64_t sum_ = 0;
};

void read_from_tile(const StoredTensor& tensor, const TileBlock& block, const Target& target) {
  Range rows = block.rows, cols = block.cols;
  uint64_t offset = block.offset;
  BlockSum sum(tensor, block);
  auto element = static_cast<int64_t>(size_of(tensor.dtype));
  int64_t stride = tensor.tile_cols * element, width = cols.size * element;
  bool same = target.dtype == tensor.dtype;
  auto bytes_of = [](std::byte* data, int64_t n) {
    return std::span(data, static_cast<size_t>(n));
  };

  if (same && stride == width && cols == target.part.cols) {
    std::byte* to = target.at(rows.begin, cols.begin);
    tensor.file->read(offset, bytes_of(to, rows.size * width));
    sum.add(to, rows.begin, rows.size);
    return sum.finish();
  }
  bool is_sparse = stride - width >= kSkipBytes;
  if (same && is_sparse) {
    for (int64_t r = rows.begin; r < rows.end(); ++r, offset += static_cast<uint64_t>(stride))
      tensor.file->read(offset, bytes_of(target.at(r, cols.begin), width));
    return;
  }
  int64_t rows_at_once = is_sparse ? 1 : std::max<int64_t>(1, kStripBytes / stride);
  if (tensor.is_vector()) rows_at_once = rows.size;  // one row to its sum
  rows_at_once = std::min(rows_at_once, rows.size);
  std::byte* strip = scratch(rows_at_once * stride);
  for (int64_t first = rows.begin; first < rows.end(); first += rows_at_once) {
    int64_t count = std::min(rows_at_once, rows.end() - first);
    uint64_t at = offset + static_cast<uint64_t>((first - rows.begin) * stride);
    tensor.file->read(at, bytes_of(strip, (count - 1) * stride + width));
    sum.add(strip, first, count);
    for (int64_t r = 0; r < count; ++r) {
      const std::byte* from = strip + r * stride;
      std::byte* to = target.at(first + r, cols.begin);
      if (same)
        std::memcpy(to, from, static_cast<size_t>(width));
      else
        converter(tensor.dtype, target.dtype)(from, to, cols.size);
    }
  }
  sum.finish();
}

void read_tiles(const StoredTensor& tensor, const Target& target, TileSums* sums) {
  const ShardSpec& part = target.part;
  auto element = static_cast<int64_t>(size_of(tensor.dtype));
  int64_t first_row = part.rows.begin / tensor.tile_rows,
          first_col = part.cols.begin / tensor.tile_cols;
  for (int64_t i = first_row; i * tensor.tile_rows < part.rows.end(); ++i) {
    Range rows = intersect(part.rows, {i * tensor.tile_rows, tensor.tile_rows});
    for (int64_t j = first_col; j * tensor.tile_cols < part.cols.end(); ++j) {
      Range cols = intersect(part.cols, {j * tensor.tile_cols, tensor.tile_cols});
      int64_t skipped = (rows.begin - i * tensor.tile_rows) * tensor.tile_cols + cols.begin -
                        j * tensor.tile_cols;
      auto tile = static_cast<size_t>(i * tensor.grid_cols() + j);
      read_from_tile(tensor,
                     {.tile = tile,
                      .first_row = i * tensor.tile_rows,
                      .rows = rows,
                      .cols = cols,
                      .offset = tensor.tiles[tile] + static_cast<uint64_t>(skipped * element),
                      .sums = sums},
                     target);
    }
  }
}

void read_unusual(const StoredTensor& tensor, const Target& target) {
  const ShardSpec& part = target.part;
  if (target.dtype == tensor.dtype) return tensor.read_part(part, target.data);
  int64_t n = part.rows.size * part.cols.size;
  auto dense =
      std::make_unique_for_overwrite<std::byte[]>(static_cast<size_t>(n) * size_of(tensor.dtype));
  tensor.read_part(part, dense.get());
  converter(tensor.dtype, target.dtype)(dense.get(), target.data, n);
}

}  // namespace

void StoredTensor::check_tiles(std::string_view name) const {
  uint64_t bytes = static_cast<uint64_t>(tile_rows * tile_cols) * size_of(dtype);
  for (uint64_t offset : tiles)
    check(offset <= file->size() && bytes <= file->size() - offset,
          "{}: truncated: tensor {} reaches past the end of the file, {} bytes; copy or convert it "
          "again",
          file->path(), printable(name), file->size());
}

void read_stored(const StoredTensor& tensor, const ShardSpec& part, DType as, void* out,
                 TileSums* sums) {
  auto inside = [](Range r, int64_t extent) {
    return r.begin >= 0 && r.size >= 0 && r.begin <= extent && r.size <= extent - r.begin;
  };
  ensure(inside(part.rows, tensor.rows()) && inside(part.cols, tensor.cols()),
         "a shard reaches past its tensor");
  if (part.rows.size == 0 || part.cols.size == 0) return;
  Target target = {part, as, static_cast<std::byte*>(out)};
  tensor.read_part ? read_unusual(tensor, target) : read_tiles(tensor, target, sums);
}

}  // namespace ll
