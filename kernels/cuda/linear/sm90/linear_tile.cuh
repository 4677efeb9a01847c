#pragma once
// The kernel of y = x W^T for few rows of x: see linear_tile.cu. Loops are not unrolled where that
// buys nothing: a step runs through the code of many kernels, and what a multiprocessor keeps of it
// is small.
#include "kernels/cuda/linear/sm90/linear_ring.cuh"
#include "kernels/cuda/linear/sm90/linear_tile_sums.cuh"
#include "kernels/cuda/ptx/barriers.cuh"
#include "kernels/cuda/ptx/bulk_copy.cuh"
#include "kernels/cuda/ptx/clusters.cuh"
#include "kernels/cuda/ptx/portable.cuh"
#include "kernels/cuda/ptx/wgmma.cuh"

namespace ll::cuda {

constexpr int kResidentTiles = 2;  // blocks a multiprocessor has room for

// kGroups warpgroups with up to 64 rows of W each, and kColumns rows of x.
template <int kGroups_, int kColumns_>
struct Tiling {
  static constexpr int kGroups = kGroups_, kColumns = kColumns_;
  static constexpr int kConsumers = 128 * kGroups, kWarps = 4 * kGroups, kThreads = kConsumers + 32;
  // Slices of K a tile has: what a tile costs besides its products is much for a few rows of W.
  static constexpr int kDepth = kGroups == 1 ? 2 : 1;
  static constexpr int kColumnBytes = kColumns * kLineBytes;
  static constexpr int kSums = kColumns / 2;  // of a thread
};

struct TileArgs {
  LinearOutput out;
  LinearCut cut;      // tile_rows is a multiple of kRunRows
  bool has_one_tile;  // each block
};

// ---- the consumers

// Adds up `count` tiles of one row of tiles. Each stage is given back as soon as it is read: what
// limits the kernel are the bytes under way. A warpgroup's lines past the tile's last are whatever
// is there: their sums are not used.
template <class T>
__device__ void multiply_tiles(const Ring& ring, RingPosition& at, int count, bool has_lines,
                               float (&sums)[1][T::kSums]) {
  const LinearCut& c = ring.cut;
  bool releases = threadIdx.x % 32 == 0;
  // Descriptors count in 16 bytes.
  auto uniform = [](uint32_t x) { return __shfl_sync(kFullWarp, x, 0); };  // known to be, then
  auto stage_step = static_cast<uint32_t>(c.stage_bytes / 16),
       slice_step = static_cast<uint32_t>(c.tile_rows * kLineBytes / 16);
  uint32_t first_w = descriptor_low(ring.weight(0) + threadIdx.x / 128 * 64 * kLineBytes),
           first_x = descriptor_low(ring.x(0));
#pragma unroll 1
  for (int i = 0; i < count; ++i) {
    wait_barrier(ring.full + at.stage, at.parity);
    if (has_lines) {
      uint32_t stage = static_cast<uint32_t>(at.stage) * stage_step;
      uint32_t w = uniform(first_w + stage), x = uniform(first_x + stage);
      begin_products();
#pragma unroll
      for (int d = 0; d < T::kDepth; ++d, w += slice_step, x += T::kColumnBytes / 16)
#pragma unroll
        for (uint32_t k = 0; k < kSliceDepth / 16; ++k)  // 32 bytes a step of 16 K
          multiply(sums[0], descriptor_of(w + k * 2), descriptor_of(x + k * 2), i + d > 0 || k > 0);
      commit_products();
      finish_products(sums);
    }
    if (releases) arrive(ring.empty + at.stage);
    at.advance(c.num_stages);
  }
}

// The sums of a tile lie behind the ring; or in its place, where nothing comes to it any more.
template <class T>
__device__ void multiply_all(const TileArgs& a, const Ring& ring, const Work& work,
                             TileSums<T> tile, const RopePlace* places, const float* scales) {
  RingPosition at;
#pragma unroll 1
  for (int row_tile = work.first; row_tile < a.cut.row_tiles; row_tile += work.stride) {
    tile.set_rows(a.out, row_tile * a.cut.tile_rows, a.cut.tile_rows);
    bool has_lines = static_cast<int>(threadIdx.x) / 128 * 64 < tile.deal.runs * kRunRows;
    float sums[1][T::kSums];
    multiply_tiles<T>(ring, at, work.k_end - work.k_begin, has_lines, sums);
    if (a.cut.log_parts > 0) {
      wait_for_cluster();
      tile.send(sums[0]);
    } else {
      sync_some(1, T::kConsumers);  // the ring, or the tile before, has been read
      tile.keep(sums[0]);
      sync_some(1, T::kConsumers);
    }
    tile.store(a.out, places, scales);
  }
}

// The scales that rows of x lack, for all tiles; by the threads that store.
template <int kThreads>
__device__ void look_up_scales(const LinearOutput& out, float* scales) {
  if (!out.x_squares) return;
  int x = static_cast<int>(threadIdx.x);
  if (x < out.num_x) scales[x] = out.scale_of(out.squares_of(x));
  sync_some(1, kThreads);
}

template <class T>
__global__ void __launch_bounds__(T::kThreads, kResidentTiles)
    multiply_tile(const __grid_constant__ CUtensorMap weight, const __grid_constant__ CUtensorMap x,
                  const __grid_constant__ TileArgs a) {
  __shared__ uint64_t barriers[2 * kMostStages + 1];
  __shared__ RopePlace places[T::kColumns];
  __shared__ float scales[T::kColumns];
  Work work(a.cut);
  Ring ring{a.cut, dynamic_shared(), barriers, barriers + kMostStages};
  bool is_behind = a.cut.log_parts > 0 || !a.has_one_tile;
  TileSums<T> tile{reinterpret_cast<float*>(is_behind ? ring.end() : ring.stages),
                   barriers + 2 * kMostStages,
                   most_runs(a.cut.tile_rows, 1 << a.cut.log_parts),
                   work.k_part,
                   {0, a.cut.log_parts}};
  tile.set_rows(a.out, work.first * a.cut.tile_rows, a.cut.tile_rows);
  if (threadIdx.x == T::kConsumers) {
    prefetch_map(&weight);
    prefetch_map(&x);
    ring.init(T::kWarps);
    tile.expect();
    publish_barriers();
  }
  __syncthreads();
  if (a.cut.log_parts > 0) arrive_at_cluster_relaxed();
  if (threadIdx.x == T::kConsumers) Loader{ring, work, &weight, &x}.run();
  if (threadIdx.x >= T::kConsumers) return;
  look_up(a.out, work.first * a.cut.tile_rows, a.cut, T::kConsumers, places);
  wait_for_previous();
  look_up_scales<T::kConsumers>(a.out, scales);
  multiply_all<T>(a, ring, work, tile, places, scales);
}

}  // namespace ll::cuda
