// y = x W^T for 33 to 256 rows of x on tensor cores, where a product is limited by reading W as
// much as by arithmetic: the rows of x are the matrix unit's lines, 64 for each warpgroup, and a
// tile's rows of W its columns, so that a block has all rows of x and reads its part of W once.
// Blocks that have the parts of K of a tile are a cluster, as in linear_tile.cu.
#include "kernels/cuda/linear/sm90/linear_block.cuh"

#include <algorithm>

#include "kernels/cuda/linear/linear_kernels.h"
#include "kernels/cuda/linear/sm90/linear_cut.h"

namespace ll::cuda {
namespace {

constexpr int kFewX = 32;                                          // linear_tile.cu has them
constexpr int kSharedBytes = 227 << 10, kReservedBytes = 1 << 10;  // of a multiprocessor, a block
constexpr int kStaticBytes = kMostXLines * static_cast<int>(sizeof(RopePlace)) + 256;  // + barriers

// Shared memory there is for the ring, or for the sums in its place.
constexpr int most_bytes(int x_lines) {
  int blocks = resident_blocks(x_lines);
  return (kSharedBytes - (blocks - 1) * kReservedBytes) / blocks - kStaticBytes -
         static_cast<int>(kSharedSlack);
}

// Clusters of 2^log_parts blocks that run at once.
int row_tiles_at_once(int log_parts) {
  using Widest = Blocking<kMostRows, 2, 2>;
  static const ClusterCounts counts =
      cluster_counts(reinterpret_cast<const void*>(multiply_block<Widest>), Widest::kThreads,
                     kSharedBytes - kStaticBytes);
  return counts[static_cast<size_t>(log_parts)];
}

int x_lines_of(const LinearArgs& a) { return parts_of(a.x.dim(0), 64) * 64; }

// Rows of W whose sums fit.
int most_rows(int x_lines, int log_parts) {
  int rows = kMostRows;
  while (block_sums_bytes(rows, x_lines, log_parts) > most_bytes(x_lines)) rows -= kRowStep;
  return rows;
}

// The fewest rounds of tiles, then the fewest rows that make all blocks' shares equal.
LinearCut cut_of(const LinearArgs& a, int log_parts) {
  int x_lines = x_lines_of(a), at_once = row_tiles_at_once(log_parts),
      rounds = parts_of(a.weight.rows, int64_t{at_once} * most_rows(x_lines, log_parts));
  LinearCut c{};
  c.tile_rows = kRowStep * parts_of(a.weight.rows, int64_t{kRowStep} * at_once * rounds);
  c.row_tiles = parts_of(a.weight.rows, c.tile_rows);
  c.k_tiles = parts_of(a.weight.cols, kSliceDepth);
  c.log_parts = log_parts;
  c.depth = 1;
  c.x_lines = x_lines;
  c.x_tiles = 1;
  c.stage_bytes = (c.tile_rows + c.x_lines) * kLineBytes;
  c.num_stages = std::min(
      {kMostStages, most_bytes(x_lines) / c.stage_bytes, parts_of(c.k_tiles, 1 << log_parts)});
  return c;
}

bool takes(const LinearArgs& a, int log_parts) {
  if (a.x.dim(0) <= kFewX || a.x.dim(0) > kMostXLines || !has_whole_vectors(a) ||
      a.ending.is_silu() ||  // linear_gate.cu has it
      row_tiles_at_once(log_parts) == 0)
    return false;
  LinearCut c = cut_of(a, log_parts);
  return c.tile_rows >= kLeastRows && c.k_tiles >= 1 << log_parts;
}

template <class B>
void launch_blocking(Stream stream, const LinearArgs& a, const LinearCut& c) {
  CUtensorMap weight = slice_map(a.weight.data.data, a.weight.rows, a.weight.cols, B::kRows);
  CUtensorMap x = slice_map(a.x.data, a.x.dim(0), a.weight.cols, c.x_lines);
  int used =
      std::max(c.num_stages * c.stage_bytes, block_sums_bytes(B::kRows, c.x_lines, c.log_parts));
  auto shared = kSharedSlack + static_cast<size_t>(used);
  allow_shared(reinterpret_cast<const void*>(multiply_block<B>), shared);
  launch(stream,
         {.grid = dim3(static_cast<unsigned>(c.row_tiles << c.log_parts)),
          .block = dim3(B::kThreads),
          .shared_bytes = shared,
          .cluster = 1u << c.log_parts},
         multiply_block<B>, weight, x, BlockArgs{output_of(a), c});
}

void run(Stream stream, const LinearArgs& a, int log_parts, bool is_early) {
  LinearCut c = cut_of(a, log_parts);
  c.is_early = is_early;
  with_blocking(c, [&]<class B>() { launch_blocking<B>(stream, a, c); });
}

LinearKernel kernel(int log_parts, bool is_early) {
  return {fmt::format("block{}", 1 << log_parts),
          [=](const LinearArgs& a) { return takes(a, log_parts); },
          [=](Stream stream, const LinearArgs& a) { run(stream, a, log_parts, is_early); },
          /*does_norms=*/true};
}

}  // namespace

std::span<const LinearKernel> block_kernels() {
  static const LinearKernels kernels(std::vector{2, 3, 1, 0}, kernel);
  return kernels.all();
}

}  // namespace ll::cuda
