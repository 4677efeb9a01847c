#pragma once
// The kernel of y = x W^T for few rows of x: see linear_tile.cu. Loops are not unrolled where that
// buys nothing: a step runs through the code of many kernels, and what a multiprocessor keeps of it
// is small.
#include "kernels/cuda/hopper.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/linear_tile_sums.cuh"

namespace ll::cuda {

constexpr int kSliceDepth = 64;  // K of a slice: lines of 128 bytes
constexpr int kLineBytes = 2 * kSliceDepth;
constexpr int kMostStages = 12;
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
  int tile_rows, row_tiles, k_tiles;  // of W; tile_rows is a multiple of kRunRows
  int log_parts;                      // blocks of a cluster, which have the parts of K
  int num_stages, stage_bytes;        // of the ring
  bool has_one_tile;                  // each block
};

// What a block does: one of the parts of K of row tiles `first`, first + stride and so on.
struct Work {
  int k_part, first, stride, k_begin, k_end;

  __device__ explicit Work(const TileArgs& a) {
    k_part = static_cast<int>(blockIdx.x) & ((1 << a.log_parts) - 1);
    first = static_cast<int>(blockIdx.x) >> a.log_parts;
    stride = static_cast<int>(gridDim.x) >> a.log_parts;
    k_begin = (a.k_tiles * k_part) >> a.log_parts;
    k_end = (a.k_tiles * (k_part + 1)) >> a.log_parts;
  }
};

// Stages of slices of W, then as many of x.
template <class T>
struct Ring {
  const TileArgs& args;
  char* stages;
  uint64_t *full, *empty;

  __device__ char* weight(int stage) const { return stages + stage * args.stage_bytes; }
  __device__ char* x(int stage) const { return weight(stage + 1) - T::kDepth * T::kColumnBytes; }
  __device__ char* end() const { return weight(args.num_stages); }

  __device__ void init() const {
#pragma unroll 1
    for (int s = 0; s < args.num_stages; ++s) {
      init_barrier(full + s, 1);
      init_barrier(empty + s, T::kWarps);
    }
  }
};

// ---- the producer: one thread

template <class T>
struct Loader {
  const Ring<T>& ring;
  const Work& work;
  const CUtensorMap *weight_map, *x_map;

  // A tile of the work.
  struct Cursor {
    int row_tile, k;
  };
  __device__ bool is_over(const Cursor& at) const { return at.row_tile >= ring.args.row_tiles; }
  __device__ void advance(Cursor& at) const {
    if (++at.k == work.k_end) at.k = work.k_begin, at.row_tile += work.stride;
  }

  __device__ void weight(int stage, const Cursor& at) const {
    const TileArgs& a = ring.args;
    arrive_expecting(ring.full + stage, static_cast<uint32_t>(a.stage_bytes));
    for (int d = 0; d < T::kDepth; ++d)
      copy_tile(ring.weight(stage) + d * a.tile_rows * kLineBytes, weight_map,
                (at.k * T::kDepth + d) * kSliceDepth, at.row_tile * a.tile_rows, ring.full + stage);
  }
  __device__ void x(int stage, const Cursor& at) const {
    for (int d = 0; d < T::kDepth; ++d)
      copy_tile(ring.x(stage) + d * T::kColumnBytes, x_map, (at.k * T::kDepth + d) * kSliceDepth, 0,
                ring.full + stage);
  }

  // Weights before the inputs are ready, as far as the ring goes; then x for these; then both.
  __device__ void run() const {
    Cursor ahead{work.first, work.k_begin}, behind = ahead;
    int num_ahead = 0, num_stages = ring.args.num_stages;
#pragma unroll 1
    for (; num_ahead < num_stages && !is_over(ahead); advance(ahead)) weight(num_ahead++, ahead);
    bool is_all = is_over(ahead);
    if (is_all) let_next_start();
    wait_for_previous();
#pragma unroll 1
    for (int i = 0; i < num_ahead; ++i, advance(behind)) x(i, behind);
#pragma unroll 1
    for (RingPosition at; !is_over(ahead); advance(ahead), at.advance(num_stages)) {
      wait_barrier(ring.empty + at.stage, at.parity);
      weight(at.stage, ahead);
      x(at.stage, ahead);
    }
    if (!is_all) let_next_start();
  }
};

// ---- the consumers

// Adds up `count` tiles of one row of tiles. Each stage is given back as soon as it is read: what
// limits the kernel are the bytes under way. A warpgroup's lines past the tile's last are whatever
// is there: their sums are not used.
template <class T>
__device__ void multiply_tiles(const Ring<T>& ring, RingPosition& at, int count, bool has_lines,
                               float (&sums)[1][T::kSums]) {
  const TileArgs& a = ring.args;
  bool releases = threadIdx.x % 32 == 0;
  // Descriptors count in 16 bytes.
  auto uniform = [](uint32_t x) { return __shfl_sync(kFullWarp, x, 0); };  // known to be, then
  auto stage_step = static_cast<uint32_t>(a.stage_bytes / 16),
       slice_step = static_cast<uint32_t>(a.tile_rows * kLineBytes / 16);
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
    at.advance(a.num_stages);
  }
}

// What the end of a product needs is on its way before the inputs are.
template <class T>
__device__ void look_up(const LinearOutput& out, int first_row, int tile_rows, RopePlace* places) {
  int thread = static_cast<int>(threadIdx.x), row = thread * kLineBytes / 2;
  if (out.bias && row < tile_rows && first_row + row < out.rows)
    prefetch_to_l2(out.bias + first_row + row);
  if (out.ending != Ending::kRope) return;
  if (thread < out.num_x) {
    places[thread] = out.place_of(thread);
    const float* angles =
        out.rope.cos_sin + int64_t{max(places[thread].position, 0)} * out.rope.dim;
#pragma unroll 1
    for (int i = 0; i < out.rope.dim; i += kLineBytes / 4) prefetch_to_l2(angles + i);
  }
  sync_some(1, T::kConsumers);
}

// The sums of a tile lie behind the ring; or in its place, where nothing comes to it any more.
template <class T>
__device__ void multiply_all(const Ring<T>& ring, const Work& work, TileSums<T> tile,
                             const RopePlace* places) {
  const TileArgs& a = ring.args;
  RingPosition at;
#pragma unroll 1
  for (int row_tile = work.first; row_tile < a.row_tiles; row_tile += work.stride) {
    tile.set_rows(a.out, row_tile * a.tile_rows, a.tile_rows);
    bool has_lines = static_cast<int>(threadIdx.x) / 128 * 64 < tile.deal.runs * kRunRows;
    float sums[1][T::kSums];
    multiply_tiles(ring, at, work.k_end - work.k_begin, has_lines, sums);
    if (a.log_parts > 0) {
      wait_for_cluster();
      tile.send(sums[0]);
    } else {
      sync_some(1, T::kConsumers);  // the ring, or the tile before, has been read
      tile.keep(sums[0]);
      sync_some(1, T::kConsumers);
    }
    tile.store(a.out, places);
  }
}

template <class T>
__global__ void __launch_bounds__(T::kThreads, kResidentTiles)
    multiply_tile(const __grid_constant__ CUtensorMap weight, const __grid_constant__ CUtensorMap x,
                  const __grid_constant__ TileArgs a) {
  __shared__ uint64_t barriers[2 * kMostStages + 1];
  __shared__ RopePlace places[T::kColumns];
  Work work(a);
  Ring<T> ring{a, dynamic_shared(), barriers, barriers + kMostStages};
  bool is_behind = a.log_parts > 0 || !a.has_one_tile;
  TileSums<T> tile{reinterpret_cast<float*>(is_behind ? ring.end() : ring.stages),
                   barriers + 2 * kMostStages,
                   most_runs(a.tile_rows, 1 << a.log_parts),
                   work.k_part,
                   {0, a.log_parts}};
  tile.set_rows(a.out, work.first * a.tile_rows, a.tile_rows);
  if (threadIdx.x == T::kConsumers) {
    prefetch_map(&weight);
    prefetch_map(&x);
    ring.init();
    tile.expect();
    publish_barriers();
  }
  __syncthreads();
  if (a.log_parts > 0) arrive_at_cluster_relaxed();
  if (threadIdx.x == T::kConsumers) Loader<T>{ring, work, &weight, &x}.run();
  if (threadIdx.x >= T::kConsumers) return;
  look_up<T>(a.out, work.first * a.tile_rows, a.tile_rows, places);
  wait_for_previous();
  multiply_all<T>(ring, work, tile, places);
}

}  // namespace ll::cuda
