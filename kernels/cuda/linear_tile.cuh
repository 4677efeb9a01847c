#pragma once
// The kernel of y = x W^T for few rows of x: see linear_tile.cu.
#include "kernels/cuda/hopper.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/linear_output.cuh"

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
  static constexpr int kRows = 64 * kGroups;
  // Slices of K a tile has: what a tile costs besides its products is much for a few rows of W.
  static constexpr int kDepth = kGroups == 1 ? 2 : 1;
  static constexpr int kColumnBytes = kColumns * kLineBytes;
  static constexpr int kSums = kColumns / 2;  // of a thread
  // A line of the sums in shared memory: one row of x. Its length spreads a warp over the banks.
  static constexpr int kSumLine = kRows + 4;
  static_assert(kSumLine % 16 == 4);
};

struct TileArgs {
  LinearOutput out;
  int tile_rows, row_tiles, k_tiles;  // of W; tile_rows is a multiple of 8
  int neighbours, k_parts;            // of a cluster, which has so many blocks times so many
  int num_stages, stage_bytes;        // of the ring; neighbours, a power of two, divide num_stages

  __host__ __device__ int cluster() const { return neighbours * k_parts; }
};

// What a block does: in its cluster it is one of some neighbours, with the row tiles next to each
// other, and has one of some parts of K. In each round the cluster takes the row tiles first ...
// first + neighbours - 1, and then those `stride` further on.
struct Work {
  int neighbour, k_part, first, stride, k_begin, k_end;

  __device__ explicit Work(const TileArgs& a) {
    int cluster = static_cast<int>(blockIdx.x) / a.cluster(),
        member = static_cast<int>(blockIdx.x) % a.cluster();
    neighbour = member % a.neighbours;
    k_part = member / a.neighbours;
    first = cluster * a.neighbours;
    stride = static_cast<int>(gridDim.x) / a.cluster() * a.neighbours;
    k_begin = a.k_tiles * k_part / a.k_parts;
    k_end = a.k_tiles * (k_part + 1) / a.k_parts;
  }
};

// Stages of slices of W, then as many of x. The x of a stage is the same for all neighbours,
// of which one sends it to all: the stage's sender.
template <class T>
struct Ring {
  const TileArgs& args;
  const Work& work;
  char* stages;
  uint64_t *full, *empty;

  __device__ char* weight(int stage) const { return stages + stage * args.stage_bytes; }
  __device__ char* x(int stage) const { return weight(stage + 1) - T::kDepth * T::kColumnBytes; }
  __device__ int sender(int stage) const { return stage & (args.neighbours - 1); }
  __device__ bool is_sender(int stage) const { return sender(stage) == work.neighbour; }
  __device__ int member(int neighbour) const { return work.k_part * args.neighbours + neighbour; }

  // A sender must know that all neighbours have read its stage.
  __device__ void init() const {
    for (int s = 0; s < args.num_stages; ++s) {
      init_barrier(full + s, 1);
      init_barrier(empty + s, T::kWarps * (is_sender(s) ? args.neighbours : 1));
    }
    publish_barriers();
  }
  // By one thread a warp.
  __device__ void release(int stage) const {
    arrive(empty + stage);
    if (args.neighbours > 1 && !is_sender(stage))
      arrive_at_member(empty + stage, member(sender(stage)));
  }
};

// ---- the producer: one thread

// A tile of the work.
struct TileCursor {
  const Work& work;
  int first_row_tile, k;

  __device__ explicit TileCursor(const Work& w) : work(w), first_row_tile(w.first), k(w.k_begin) {}
  __device__ void advance() {
    if (++k == work.k_end) k = work.k_begin, first_row_tile += work.stride;
  }
};

template <class T>
struct Loader {
  const Ring<T>& ring;
  const CUtensorMap *weight_map, *x_map;

  __device__ bool is_over(const TileCursor& at) const {
    return at.first_row_tile >= ring.args.row_tiles;
  }
  // Neighbours keep step, also one whose tile lies behind the last row: it gets zeros.
  __device__ void weight(int stage, const TileCursor& at) const {
    const TileArgs& a = ring.args;
    arrive_expecting(ring.full + stage, static_cast<uint32_t>(a.stage_bytes));
    for (int d = 0; d < T::kDepth; ++d)
      copy_tile(ring.weight(stage) + d * a.tile_rows * kLineBytes, weight_map,
                (at.k * T::kDepth + d) * kSliceDepth,
                (at.first_row_tile + ring.work.neighbour) * a.tile_rows, ring.full + stage);
  }
  __device__ void x(int stage, const TileCursor& at) const {
    if (!ring.is_sender(stage)) return;
    const TileArgs& a = ring.args;
    auto all = static_cast<uint16_t>(((1u << a.neighbours) - 1) << ring.member(0));
    for (int d = 0; d < T::kDepth; ++d) {
      char* to = ring.x(stage) + d * T::kColumnBytes;
      int k = (at.k * T::kDepth + d) * kSliceDepth;
      if (a.neighbours > 1)
        copy_tile_to_members(to, x_map, k, 0, ring.full + stage, all);
      else
        copy_tile(to, x_map, k, 0, ring.full + stage);
    }
  }

  // Weights before the inputs are ready, as far as the ring goes; then x for these; then both.
  __device__ void run() const {
    TileCursor ahead(ring.work), behind(ring.work);
    int num_ahead = 0, num_stages = ring.args.num_stages;
    for (; num_ahead < num_stages && !is_over(ahead); ahead.advance()) weight(num_ahead++, ahead);
    if (is_over(ahead)) let_next_start();
    wait_for_cluster();
    wait_for_previous();
    fence_copy_engine();
    for (int i = 0; i < num_ahead; ++i, behind.advance()) x(i, behind);
    if (is_over(ahead)) return;
    for (RingPosition at; !is_over(ahead); ahead.advance(), at.advance(num_stages)) {
      wait_barrier(ring.empty + at.stage, at.parity);
      weight(at.stage, ahead);
      x(at.stage, ahead);
    }
    let_next_start();
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
    if (releases) ring.release(at.stage);
    at.advance(a.num_stages);
  }
}

// Of this thread's sum s in half h of its lines (see multiply): the row of the tile and of x.
__device__ inline int row_of(int half) {
  int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  return warp * 16 + lane / 4 + 8 * half;
}
__device__ inline int x_of(int s) { return s / 2 * 8 + threadIdx.x % 4 * 2 + s % 2; }

// Of a block that has all of K and more tiles to come; rows [first_row, end_row) of W.
template <class T>
__device__ void store_outputs(const LinearOutput& out, const float (&sums)[T::kSums], int first_row,
                              int end_row) {
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    int row = first_row + row_of(h);
    float bias = row < end_row ? out.bias_of(row) : 0.0f;
#pragma unroll
    for (int s = 0; s < T::kSums / 2; ++s) {
      int x = x_of(s);
      float sum = sums[s / 2 * 4 + 2 * h + s % 2] + bias;
      bool is_output = row < end_row && x < out.num_x;
      if (out.is_silu) {
        float next = __shfl_down_sync(kFullWarp, sum, 4);  // the same x, the next row
        if (is_output && row % 2 == 0) out.store_pair(x, row, sum, next);
      } else if (is_output) {
        out.store(x, row, sum);
      }
    }
  }
}

// The blocks with the parts of K show each other their sums, and each stores a part of the outputs,
// four rows of a row of x at a time. The sums take the place of the ring.
template <class T>
__device__ void store_shared_outputs(const Ring<T>& ring, const float (&sums)[T::kSums],
                                     int first_row, int end_row) {
  const TileArgs& a = ring.args;
  auto* mine = reinterpret_cast<float*>(ring.stages);
  sync_some(1, T::kConsumers);  // the ring has been read
#pragma unroll
  for (int h = 0; h < 2; ++h)
#pragma unroll
    for (int s = 0; s < T::kSums / 2; ++s)
      mine[x_of(s) * T::kSumLine + row_of(h)] = sums[s / 2 * 4 + 2 * h + s % 2];
  if (a.k_parts > 1)
    sync_cluster();
  else
    sync_some(1, T::kConsumers);
  int quads = max(end_row - first_row, 0) / 4, count = a.out.num_x * quads;
  for (int i = ring.work.k_part * T::kConsumers + static_cast<int>(threadIdx.x); i < count;
       i += a.k_parts * T::kConsumers) {
    int x = i / quads, row = i % quads * 4;
    float4 sum = make_float4(0, 0, 0, 0);
    for (int part = 0; part < a.k_parts; ++part) {
      float4 v =
          load_from_member(mine + x * T::kSumLine + row, part * a.neighbours + ring.work.neighbour);
      sum.x += v.x, sum.y += v.y, sum.z += v.z, sum.w += v.w;
    }
    a.out.store_four(x, first_row + row, sum);
  }
}

template <class T>
__device__ void multiply_all(const Ring<T>& ring) {
  const TileArgs& a = ring.args;
  const Work& work = ring.work;
  wait_for_cluster();
  wait_for_previous();
  RingPosition at;
  bool has_one_tile = a.row_tiles <= work.stride && a.out.rows % 4 == 0;
  for (int tile = work.first; tile < a.row_tiles; tile += work.stride) {
    int first_row = (tile + work.neighbour) * a.tile_rows,
        end_row = min(first_row + a.tile_rows, a.out.rows);
    bool has_lines = first_row + static_cast<int>(threadIdx.x) / 128 * 64 < end_row;
    float sums[1][T::kSums];
    multiply_tiles(ring, at, work.k_end - work.k_begin, has_lines, sums);
    if (has_one_tile)
      store_shared_outputs<T>(ring, sums[0], first_row, end_row);
    else
      store_outputs<T>(a.out, sums[0], first_row, end_row);
  }
  sync_cluster();  // until then others arrive at this block's barriers and read its memory
}

template <class T>
__global__ void __launch_bounds__(T::kThreads, kResidentTiles)
    multiply_tile(const __grid_constant__ CUtensorMap weight, const __grid_constant__ CUtensorMap x,
                  const __grid_constant__ TileArgs a) {
  __shared__ uint64_t barriers[2 * kMostStages];
  Work work(a);
  Ring<T> ring{a, work, dynamic_shared(), barriers, barriers + kMostStages};
  if (threadIdx.x == T::kConsumers) {
    prefetch_map(&weight);
    prefetch_map(&x);
    ring.init();
  }
  __syncthreads();
  arrive_at_cluster();
  if (threadIdx.x < T::kConsumers)
    multiply_all<T>(ring);
  else if (threadIdx.x == T::kConsumers)
    Loader<T>{ring, &weight, &x}.run();
}

}  // namespace ll::cuda
