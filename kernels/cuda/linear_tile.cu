// y = x W^T for up to 64 rows of x on tensor cores, at the speed of reading W: 64 rows of W are the
// matrix unit's lines, the rows of x (a multiple of 8 or 16, the missing ones zero) its columns.
//
// Blocks work in clusters. Neighbours have row tiles next to each other and share the loads of x,
// which pays for some shapes and costs where they wait for each other (perf/RESULTS.md). Blocks
// with the parts of K add up their sums through each other's shared memory, in the order of K.
// Weights are on their way before the inputs are ready, and half of the shared memory is left for
// the next kernel to do the same.
#include "kernels/cuda/linear_tile.cuh"

#include <algorithm>

#include "kernels/cuda/cuda_device.h"
#include "kernels/cuda/linear_kernels.h"
#include "kernels/cuda/tensor_map.h"

namespace ll::cuda {
namespace {

// A block of many rows of W takes more than half of a multiprocessor's memory, the others less: one
// of either kind and a small one fit.
constexpr int kSharedBytes = 100 << 10, kWideSharedBytes = 124 << 10;
constexpr int kFixedBytes = static_cast<int>(kSharedSlack) + 256;  // alignment, barriers
constexpr int kMostGroups = 3, kMostRows = 64 * kMostGroups;
constexpr int kMostColumns = 64;

int parts_of(int64_t n, int64_t size) { return static_cast<int>((n + size - 1) / size); }

// Boxes [box_rows, kSliceDepth] of a row-major matrix [rows, cols].
CUtensorMap tile_map(const void* data, int64_t rows, int64_t cols, int box_rows) {
  auto width = static_cast<uint64_t>(cols);
  return tensor_map({.data = data,
                     .dims = {width, static_cast<uint64_t>(rows)},
                     .strides = {width},
                     .box = {kSliceDepth, static_cast<uint32_t>(box_rows)}});
}

bool is_aligned(const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; }

int columns_of(const LinearArgs& a) {
  auto num_x = static_cast<int>(a.x.dim(0));
  return num_x <= 8 ? 8 : 16 * parts_of(num_x, 16);
}

int groups_of(const TileArgs& a) { return parts_of(a.tile_rows, 64); }
int shared_limit(const TileArgs& a) { return groups_of(a) == 1 ? kSharedBytes : kWideSharedBytes; }
int depth_of(const TileArgs& a) { return groups_of(a) == 1 ? Tiling<1, 8>::kDepth : 1; }

// wgmma reads whole warpgroups' lines: so far past the end of the last stage.
int overrun_bytes(const TileArgs& a) {
  int last_slice = a.stage_bytes - (depth_of(a) - 1) * a.tile_rows * kLineBytes;
  return std::max(0, groups_of(a) * 64 * kLineBytes - last_slice);
}

// The fewest rounds of tiles, then the fewest rows that make all blocks' shares equal.
TileArgs args_of(const LinearArgs& a, int neighbours, int k_parts) {
  int at_once = num_sms() / (neighbours * k_parts) * neighbours,
      rounds = parts_of(a.weight.rows, int64_t{at_once} * kMostRows);
  TileArgs args{};
  args.out = output_of(a);
  args.tile_rows = 8 * parts_of(a.weight.rows, int64_t{8} * at_once * rounds);
  args.row_tiles = parts_of(a.weight.rows, args.tile_rows);
  args.neighbours = neighbours;
  args.k_parts = k_parts;
  args.k_tiles = parts_of(a.weight.cols, depth_of(args) * kSliceDepth);
  args.stage_bytes = depth_of(args) * (args.tile_rows + columns_of(a)) * kLineBytes;
  int most = (shared_limit(args) - kFixedBytes - overrun_bytes(args)) / args.stage_bytes;
  args.num_stages = std::min(kMostStages, most) / neighbours * neighbours;
  return args;
}

int num_clusters(const TileArgs& a) {
  return std::min(parts_of(a.row_tiles, a.neighbours), num_sms() / a.cluster());
}

// K: whole 16-byte vectors. Blocks that have part of K have one tile, since the sums take the place
// of the ring.
template <int kNeighbours, int kParts>
bool takes(const LinearArgs& a) {
  if (a.x.dim(0) > kMostColumns || a.weight.cols % kVectorWidth != 0 || !is_aligned(a.x.data) ||
      !is_aligned(a.out.data) || !is_aligned(a.weight.data.data))
    return false;
  TileArgs args = args_of(a, kNeighbours, kParts);
  if (args.num_stages < 2 || args.k_tiles < kParts) return false;
  return kParts == 1 ||
         (a.weight.rows % 4 == 0 && args.row_tiles <= num_clusters(args) * kNeighbours);
}

template <class T>
void launch_tiling(Stream stream, const LinearArgs& a, const TileArgs& args) {
  CUtensorMap weight = tile_map(a.weight.data.data, a.weight.rows, a.weight.cols, args.tile_rows);
  CUtensorMap x = tile_map(a.x.data, a.x.dim(0), a.weight.cols, T::kColumns);
  int ring = args.num_stages * args.stage_bytes + overrun_bytes(args);
  auto shared = kSharedSlack + static_cast<size_t>(std::max(ring, T::kColumns * T::kSumLine * 4));
  allow_shared(reinterpret_cast<const void*>(multiply_tile<T>),
               static_cast<size_t>(shared_limit(args)));
  launch(stream,
         {.grid = dim3(static_cast<unsigned>(num_clusters(args) * args.cluster())),
          .block = dim3(T::kThreads),
          .shared_bytes = shared,
          .cluster = static_cast<unsigned>(args.cluster())},
         multiply_tile<T>, weight, x, args);
}

template <int kColumns>
void launch_columns(Stream stream, const LinearArgs& a, const TileArgs& args) {
  switch (groups_of(args)) {
    case 1:
      return launch_tiling<Tiling<1, kColumns>>(stream, a, args);
    case 2:
      return launch_tiling<Tiling<2, kColumns>>(stream, a, args);
    default:
      return launch_tiling<Tiling<3, kColumns>>(stream, a, args);
  }
}

template <int kNeighbours, int kParts>
void run(Stream stream, const LinearArgs& a) {
  TileArgs args = args_of(a, kNeighbours, kParts);
  switch (columns_of(a)) {
    case 8:
      return launch_columns<8>(stream, a, args);
    case 16:
      return launch_columns<16>(stream, a, args);
    case 32:
      return launch_columns<32>(stream, a, args);
    case 48:
      return launch_columns<48>(stream, a, args);
    default:
      return launch_columns<64>(stream, a, args);
  }
}

template <int kNeighbours, int kParts>
constexpr LinearKernel kernel(const char* name) {
  return {name, takes<kNeighbours, kParts>, run<kNeighbours, kParts>};
}

}  // namespace

std::span<const LinearKernel> tile_kernels() {
  static const LinearKernel kernels[] = {kernel<4, 1>("tile4x1"), kernel<2, 1>("tile2x1"),
                                         kernel<1, 1>("tile1x1"), kernel<2, 2>("tile2x2"),
                                         kernel<4, 2>("tile4x2"), kernel<2, 4>("tile2x4"),
                                         kernel<1, 4>("tile1x4"), kernel<1, 8>("tile1x8")};
  return kernels;
}

}  // namespace ll::cuda
