// SiLU-and-mul of y = x W^T for more than 32 rows of x. Tiles are those of linear_block.cu, but a
// block takes one after the other: pairs of gate and up lie side by side in a thread's sums, so
// that it finishes them in registers, and the copy engine stores a tile while the next is
// multiplied.
#include "kernels/cuda/linear/sm90/linear_gate.cuh"

#include <algorithm>

#include "kernels/cuda/device/cuda_device.h"
#include "kernels/cuda/linear/linear_kernels.h"
#include "kernels/cuda/linear/sm90/linear_cut.h"

namespace ll::cuda {
namespace {

constexpr int kTileCost = 12;      // what a tile costs besides its rows, in rows
constexpr int kFewX = 32;          // linear_tile.cu has them,
constexpr int kFewXOfRounds = 48;  // and these where a block takes several tiles
// Few blocks share a multiprocessor: the bytes under way count.
constexpr int kSharedBytes = 227 << 10, kStaticBytes = 256;  // barriers

int ring_bytes(int tile_rows, int x_lines) {
  return kSharedBytes - kStaticBytes - static_cast<int>(kSharedSlack) -
         kept_bytes(tile_rows, x_lines);
}

// The number of rows of W in a tile with which all tiles take the shortest.
int best_rows(int64_t rows, int x_tiles) {
  auto cost = [&](int tile_rows) {
    return parts_of(int64_t{parts_of(rows, tile_rows)} * x_tiles, num_sms()) *
           (tile_rows + kTileCost);
  };
  int best = kMostRows;
  for (int r = kMostRows; r >= kLeastRows; r -= kRowStep)
    if (cost(r) < cost(best)) best = r;
  return best;
}

LinearCut cut_of(const LinearArgs& a) {
  LinearCut c{};
  c.x_tiles = parts_of(a.x.dim(0), kMostXLines);
  c.x_lines = 64 * parts_of(a.x.dim(0), int64_t{64} * c.x_tiles);
  c.tile_rows = best_rows(a.weight.rows, c.x_tiles);
  c.row_tiles = parts_of(a.weight.rows, c.tile_rows);
  c.k_tiles = parts_of(a.weight.cols, kSliceDepth);
  c.depth = 1;
  c.stage_bytes = (c.tile_rows + c.x_lines) * kLineBytes;
  c.num_stages = std::min(kMostStages, ring_bytes(c.tile_rows, c.x_lines) / c.stage_bytes);
  return c;
}

bool takes(const LinearArgs& a) {
  if (!a.ending.is_silu() || a.x.dim(0) <= kFewX || !has_whole_vectors(a) ||
      a.weight.rows % 16 != 0 || !a.bias.empty() || a.out.dtype != DType::bf16)
    return false;
  return a.x.dim(0) > kFewXOfRounds || cut_of(a).row_tiles <= num_sms();
}

template <class B>
void launch_blocking(Stream stream, const LinearArgs& a, const LinearCut& c) {
  auto width = static_cast<uint64_t>(a.out.dim(1));
  CUtensorMap weight = slice_map(a.weight.data.data, a.weight.rows, a.weight.cols, B::kRows),
              x = slice_map(a.x.data, a.x.dim(0), a.weight.cols, c.x_lines),
              out = tensor_map({.data = a.out.data,
                                .dims = {width, static_cast<uint64_t>(a.x.dim(0))},
                                .strides = {width},
                                .box = {B::kRows / 2, B::kGroupLines},
                                .is_swizzled = false});
  auto shared = kSharedSlack +
                static_cast<size_t>(c.num_stages * c.stage_bytes + kept_bytes(B::kRows, c.x_lines));
  allow_shared(reinterpret_cast<const void*>(multiply_gate<B>), shared);
  int blocks = std::min(c.row_tiles * c.x_tiles, num_sms());
  launch(stream,
         {.grid = dim3(static_cast<unsigned>(blocks)),
          .block = dim3(B::kThreads),
          .shared_bytes = shared},
         multiply_gate<B>, weight, x, out, BlockArgs{output_of(a), c});
}

LinearKernel kernel(const char* name, bool is_early) {
  auto run = [=](Stream stream, const LinearArgs& a) {
    LinearCut c = cut_of(a);
    c.is_early = is_early;
    with_blocking(c, [&]<class B>() { launch_blocking<B>(stream, a, c); });
  };
  return {name, takes, run, /*does_norms=*/true};
}

}  // namespace

std::span<const LinearKernel> gate_kernels() {
  static const LinearKernels kernels(std::vector{"gate"}, kernel);
  return kernels.all();
}

}  // namespace ll::cuda
