// y = x W^T for up to 64 rows of x on tensor cores, at the speed of reading W: 64 rows of W are the
// matrix unit's lines, the rows of x (up to the next multiple of 8 or 16, the missing ones zero)
// its columns. Blocks that have the parts of K of a tile are a cluster and send each other their
// sums, which are added in the order of K. Weights are on their way before the inputs are ready,
// and half of the shared memory is left for the next kernel to do the same.
#include "kernels/cuda/linear_tile.cuh"

#include <algorithm>

#include "kernels/cuda/cuda_device.h"
#include "kernels/cuda/linear_cut.h"
#include "kernels/cuda/linear_kernels.h"

namespace ll::cuda {
namespace {

// A block of many rows of W takes more than half of a multiprocessor's memory, the others less: one
// of either kind and a small one fit.
constexpr int kSharedBytes = 104 << 10, kWideSharedBytes = 124 << 10;
constexpr int kFixedBytes = static_cast<int>(kSharedSlack) + 1536;  // alignment, barriers, places
constexpr int kMostGroups = 3, kMostRows = 64 * kMostGroups;
constexpr int kMostColumns = 64;

int columns_of(const LinearArgs& a) {
  int eights = parts_of(a.x.dim(0), 8);
  return 8 * (eights > 5 ? (eights + 1) / 2 * 2 : eights);
}

int groups_of(const LinearCut& c) { return parts_of(c.tile_rows, 64); }
int shared_limit(const LinearCut& c) { return groups_of(c) == 1 ? kSharedBytes : kWideSharedBytes; }

int sums_bytes(const LinearCut& c) {
  return gathered_bytes(c.tile_rows, 1 << c.log_parts, c.x_lines);
}
// Behind the ring: the sums, where they do not take its place. wgmma reads whole warpgroups' lines,
// so that far past the end of the last stage.
int behind_ring_bytes(const TileArgs& a) {
  const LinearCut& c = a.cut;
  int last_slice = c.stage_bytes - (c.depth - 1) * c.tile_rows * kLineBytes,
      overrun = groups_of(c) * 64 * kLineBytes - last_slice;
  bool is_in_ring = c.log_parts == 0 && a.has_one_tile;
  return std::max({0, overrun, is_in_ring ? 0 : sums_bytes(c)});
}

// Clusters of 2^log_parts wide blocks that run at once.
int wide_clusters(int log_parts) {
  using Wide = Tiling<3, 8>;
  static const ClusterCounts counts = cluster_counts(
      reinterpret_cast<const void*>(multiply_tile<Wide>), Wide::kThreads, kWideSharedBytes);
  return counts[static_cast<size_t>(log_parts)];
}

// Row tiles of at most 64 rows: two of their blocks fit a multiprocessor, so that all run at once.
int row_tiles_at_once(const LinearArgs& a, int log_parts) {
  int most = num_sms() >> log_parts;
  return a.weight.rows <= int64_t{64} * most ? most : std::min(most, wide_clusters(log_parts));
}

// The fewest rounds of tiles, then the fewest rows that make all blocks' shares equal.
TileArgs args_of(const LinearArgs& a, int log_parts) {
  int k_parts = 1 << log_parts, at_once = row_tiles_at_once(a, log_parts),
      rounds = parts_of(a.weight.rows, int64_t{at_once} * kMostRows);
  TileArgs args{};
  args.out = output_of(a);
  LinearCut& c = args.cut;
  c.tile_rows = kRunRows * parts_of(a.weight.rows, int64_t{kRunRows} * at_once * rounds);
  c.row_tiles = parts_of(a.weight.rows, c.tile_rows);
  c.log_parts = log_parts;
  c.depth = groups_of(c) == 1 ? Tiling<1, 8>::kDepth : 1;
  c.k_tiles = parts_of(a.weight.cols, c.depth * kSliceDepth);
  c.x_lines = columns_of(a);
  c.x_tiles = 1;
  c.stage_bytes = c.depth * (c.tile_rows + c.x_lines) * kLineBytes;
  args.has_one_tile = c.row_tiles <= at_once;
  int most = (shared_limit(c) - kFixedBytes - behind_ring_bytes(args)) / c.stage_bytes;
  int needed = std::max(2, parts_of(c.k_tiles, k_parts) * rounds);
  c.num_stages = std::min({kMostStages, most, needed});
  return args;
}

template <int kLogParts>
bool takes(const LinearArgs& a) {
  if (a.x.dim(0) > kMostColumns || !has_whole_vectors(a) || row_tiles_at_once(a, kLogParts) == 0)
    return false;
  TileArgs args = args_of(a, kLogParts);
  return args.cut.num_stages >= 2 && args.cut.k_tiles >= 1 << kLogParts &&
         (kLogParts == 0 || args.has_one_tile);
}

template <class T>
void launch_tiling(Stream stream, const LinearArgs& a, const TileArgs& args) {
  const LinearCut& c = args.cut;
  CUtensorMap weight = slice_map(a.weight.data.data, a.weight.rows, a.weight.cols, c.tile_rows);
  CUtensorMap x = slice_map(a.x.data, a.x.dim(0), a.weight.cols, T::kColumns);
  int ring = c.num_stages * c.stage_bytes + behind_ring_bytes(args);
  auto shared = kSharedSlack + static_cast<size_t>(std::max(ring, sums_bytes(c)));
  allow_shared(reinterpret_cast<const void*>(multiply_tile<T>),
               static_cast<size_t>(shared_limit(c)));
  int blocks = std::min(c.row_tiles, row_tiles_at_once(a, c.log_parts)) << c.log_parts;
  launch(stream,
         {.grid = dim3(static_cast<unsigned>(blocks)),
          .block = dim3(T::kThreads),
          .shared_bytes = shared,
          .cluster = 1u << c.log_parts},
         multiply_tile<T>, weight, x, args);
}

template <int kColumns>
void launch_columns(Stream stream, const LinearArgs& a, const TileArgs& args) {
  switch (groups_of(args.cut)) {
    case 1:
      return launch_tiling<Tiling<1, kColumns>>(stream, a, args);
    case 2:
      return launch_tiling<Tiling<2, kColumns>>(stream, a, args);
    default:
      return launch_tiling<Tiling<3, kColumns>>(stream, a, args);
  }
}

template <int kLogParts>
void run(Stream stream, const LinearArgs& a) {
  TileArgs args = args_of(a, kLogParts);
  switch (columns_of(a)) {
    case 8:
      return launch_columns<8>(stream, a, args);
    case 16:
      return launch_columns<16>(stream, a, args);
    case 24:
      return launch_columns<24>(stream, a, args);
    case 32:
      return launch_columns<32>(stream, a, args);
    case 40:
      return launch_columns<40>(stream, a, args);
    case 48:
      return launch_columns<48>(stream, a, args);
    default:
      return launch_columns<64>(stream, a, args);
  }
}

template <int kLogParts>
constexpr LinearKernel kernel(const char* name) {
  return {name, takes<kLogParts>, run<kLogParts>, /*does_norms=*/true};
}

}  // namespace

std::span<const LinearKernel> tile_kernels() {
  // With more parts, more of W is there when the inputs come; eight are slow to start.
  static const LinearKernel kernels[] = {kernel<2>("tile4"), kernel<1>("tile2"), kernel<3>("tile8"),
                                         kernel<0>("tile1")};
  return kernels;
}

}  // namespace ll::cuda
