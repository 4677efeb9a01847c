// y = x W^T for up to 64 rows of x on tensor cores, at the speed of reading W: 64 rows of W are the
// matrix unit's lines, the rows of x (up to the next multiple of 8 or 16, the missing ones zero)
// its columns. Blocks that have the parts of K of a tile are a cluster and send each other their
// sums, which are added in the order of K. Weights are on their way before the inputs are ready. A
// kernel that leaves half of the shared memory lets the next one do the same; one that takes more
// has more of its own on the way: which is better, a step shows (LinearTuning).
#include "kernels/cuda/linear/sm90/linear_tile.cuh"

#include <algorithm>
#include <tuple>

#include "kernels/cuda/device/cuda_device.h"
#include "kernels/cuda/linear/linear_kernels.h"
#include "kernels/cuda/linear/sm90/linear_cut.h"

namespace ll::cuda {
namespace {

// Blocks that a multiprocessor has at once, and the shared memory that each of them may take.
// kMixed: one of many rows of W, which takes more than half of a multiprocessor's memory, or two of
// at most 64 rows; of either kind one and a small one fit.
struct TileRing {
  int blocks, kilobytes;
};
constexpr int kMixed = 0, kKilobytes = 104, kWideKilobytes = 124, kPairKilobytes = 113;
constexpr TileRing kMixedRing[] = {{kMixed, 0}};
constexpr TileRing kOtherRings[] = {{1, kWideKilobytes}, {1, 150}, {1, 225}, {2, 74}, {2, 93},
                                    {2, kPairKilobytes}};
constexpr int kMostKilobytes = 225;
// What a kernel is made for: 2^log_parts parts of K, and a ring.
struct TileShape {
  int log_parts, blocks, kilobytes;
};
constexpr int kFixedBytes = static_cast<int>(kSharedSlack) + 1536;  // alignment, barriers, places
constexpr int kMostGroups = 3, kMostRows = 64 * kMostGroups;

int columns_of(const LinearArgs& a) { return static_cast<int>(tile_columns(a.x.dim(0))); }
int groups_of(const LinearCut& c) { return parts_of(c.tile_rows, 64); }
int shared_limit(const TileShape& shape, const LinearCut& c) {
  if (shape.blocks != kMixed) return shape.kilobytes << 10;
  return (groups_of(c) == 1 ? kKilobytes : kWideKilobytes) << 10;
}

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

// Clusters of 2^log_parts blocks of any size that run at once, so many blocks a multiprocessor.
int clusters_at_once(int log_parts, int blocks) {
  using Wide = Tiling<kMostGroups, 8>;
  auto counts_of = [](int kilobytes) {
    return cluster_counts(reinterpret_cast<const void*>(multiply_tile<Wide>), Wide::kThreads,
                          static_cast<size_t>(kilobytes) << 10);
  };
  static const ClusterCounts one = counts_of(kWideKilobytes), two = counts_of(kPairKilobytes);
  return (blocks == 2 ? two : one)[static_cast<size_t>(log_parts)];
}

int row_tiles_at_once(const LinearArgs& a, const TileShape& shape) {
  int most = num_sms() >> shape.log_parts;
  if (shape.blocks == kMixed && a.weight.rows <= int64_t{64} * most) return most;
  int clusters = clusters_at_once(shape.log_parts, shape.blocks);
  return shape.blocks == 2 ? clusters : std::min(most, clusters);
}

// The fewest rounds of tiles, then the fewest rows that make all blocks' shares equal.
TileArgs args_of(const LinearArgs& a, const TileShape& shape) {
  int k_parts = 1 << shape.log_parts, at_once = row_tiles_at_once(a, shape),
      rounds = parts_of(a.weight.rows, int64_t{at_once} * kMostRows);
  TileArgs args{};
  args.out = output_of(a);
  LinearCut& c = args.cut;
  c.tile_rows = kRunRows * parts_of(a.weight.rows, int64_t{kRunRows} * at_once * rounds);
  c.row_tiles = parts_of(a.weight.rows, c.tile_rows);
  c.log_parts = shape.log_parts;
  c.depth = groups_of(c) == 1 ? Tiling<1, 8>::kDepth : 1;
  c.k_tiles = parts_of(a.weight.cols, c.depth * kSliceDepth);
  c.x_lines = columns_of(a);
  c.x_tiles = 1;
  c.stage_bytes = c.depth * (c.tile_rows + c.x_lines) * kLineBytes;
  args.has_one_tile = c.row_tiles <= at_once;
  int most = (shared_limit(shape, c) - kFixedBytes - behind_ring_bytes(args)) / c.stage_bytes;
  int needed = std::max(2, parts_of(c.k_tiles, k_parts) * rounds);
  c.num_stages = std::min({kMostStages, most, needed});
  return args;
}

bool takes(const LinearArgs& a, const TileShape& shape) {
  if (a.x.dim(0) > kMostTileColumns || !has_whole_vectors(a) || row_tiles_at_once(a, shape) == 0)
    return false;
  TileArgs args = args_of(a, shape);
  return args.cut.num_stages >= 2 && args.cut.k_tiles >= 1 << shape.log_parts &&
         (shape.log_parts == 0 || args.has_one_tile);
}

template <class T>
void launch_tiling(Stream stream, const LinearArgs& a, const TileArgs& args, int most_tiles) {
  const LinearCut& c = args.cut;
  CUtensorMap weight = slice_map(a.weight.data.data, a.weight.rows, a.weight.cols, c.tile_rows);
  CUtensorMap x = slice_map(a.x.data, a.x.dim(0), a.weight.cols, T::kColumns);
  int ring = c.num_stages * c.stage_bytes + behind_ring_bytes(args);
  auto shared = kSharedSlack + static_cast<size_t>(std::max(ring, sums_bytes(c)));
  allow_shared(reinterpret_cast<const void*>(multiply_tile<T>), size_t{kMostKilobytes} << 10);
  int blocks = std::min(c.row_tiles, most_tiles) << c.log_parts;
  launch(stream,
         {.grid = dim3(static_cast<unsigned>(blocks)),
          .block = dim3(T::kThreads),
          .shared_bytes = shared,
          .cluster = 1u << c.log_parts},
         multiply_tile<T>, weight, x, args);
}

template <int kColumns>
void launch_columns(Stream stream, const LinearArgs& a, const TileArgs& args, int most_tiles) {
  switch (groups_of(args.cut)) {
    case 1:
      return launch_tiling<Tiling<1, kColumns>>(stream, a, args, most_tiles);
    case 2:
      return launch_tiling<Tiling<2, kColumns>>(stream, a, args, most_tiles);
    default:
      return launch_tiling<Tiling<3, kColumns>>(stream, a, args, most_tiles);
  }
}

void run(Stream stream, const LinearArgs& a, const TileShape& shape, bool is_early) {
  TileArgs args = args_of(a, shape);
  args.cut.is_early = is_early;
  int most_tiles = row_tiles_at_once(a, shape);
  switch (columns_of(a)) {
    case 8:
      return launch_columns<8>(stream, a, args, most_tiles);
    case 16:
      return launch_columns<16>(stream, a, args, most_tiles);
    case 24:
      return launch_columns<24>(stream, a, args, most_tiles);
    case 32:
      return launch_columns<32>(stream, a, args, most_tiles);
    case 40:
      return launch_columns<40>(stream, a, args, most_tiles);
    case 48:
      return launch_columns<48>(stream, a, args, most_tiles);
    default:
      return launch_columns<64>(stream, a, args, most_tiles);
  }
}

LinearKernel kernel(const TileShape& shape, bool is_early) {
  std::string name = fmt::format("tile{}", 1 << shape.log_parts);
  if (shape.blocks != kMixed) name += fmt::format(".{}x{}", shape.blocks, shape.kilobytes);
  return {name, [=](const LinearArgs& a) { return takes(a, shape); },
          [=](Stream stream, const LinearArgs& a) { run(stream, a, shape, is_early); },
          /*does_norms=*/true};
}

// With more parts, more of W is there when the inputs come; eight are slow to start.
constexpr int kLogParts[] = {2, 1, 3, 0};

std::vector<TileShape> shapes_of(std::span<const TileRing> rings) {
  std::vector<TileShape> shapes;
  for (TileRing ring : rings)
    for (int log_parts : kLogParts) shapes.push_back({log_parts, ring.blocks, ring.kilobytes});
  return shapes;
}

// What distinguishes two kernels' work on the same product.
auto work_of(const LinearArgs& a, const TileShape& shape) {
  LinearCut c = args_of(a, shape).cut;
  return std::tuple(c.log_parts, c.tile_rows, c.num_stages);
}

}  // namespace

std::span<const LinearKernel> tile_kernels() {
  static const LinearKernels kernels(shapes_of(kMixedRing), kernel);
  return kernels.all();
}

std::vector<const LinearKernel*> other_tile_kernels(const LinearArgs& a) {
  if (!serves(KernelFamily::kSm90)) return {};
  static const std::vector<TileShape> shapes = shapes_of(kOtherRings);
  static const LinearKernels kernels(shapes, kernel);
  std::vector<decltype(work_of(a, shapes[0]))> known;
  for (int log_parts : kLogParts)
    if (TileShape mixed{log_parts, kMixed, 0}; takes(a, mixed)) known.push_back(work_of(a, mixed));
  std::vector<const LinearKernel*> found;
  for (size_t i = 0; i < shapes.size(); ++i) {
    if (!takes(a, shapes[i])) continue;
    auto work = work_of(a, shapes[i]);
    if (std::find(known.begin(), known.end(), work) != known.end()) continue;
    known.push_back(work);
    found.push_back(&kernels.all()[i]);
  }
  return found;
}

}  // namespace ll::cuda
