// y = x W^T for up to 16 rows of x on tensor cores, at the speed of reading W: 64 rows of W are the
// matrix unit's lines, the rows of x (8 or 16, the missing ones zero) its columns. For more rows
// the library is as fast (perf/RESULTS.md).
//
// A tile of rows of W is the work of a cluster: 1 to 4 blocks that share K and add up their sums
// through each other's shared memory, in the order of K. Weights are on their way before the inputs
// are ready, and half of the shared memory is left for the next kernel to do the same.
#include <algorithm>

#include "kernels/cuda/cuda_device.h"
#include "kernels/cuda/hopper.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/linear_kernels.h"
#include "kernels/cuda/linear_output.cuh"
#include "kernels/cuda/tensor_map.h"

namespace ll::cuda {
namespace {

constexpr int kDepth = 64;  // K of a tile: a line of 128 bytes
constexpr int kLineBytes = 2 * kDepth;
constexpr int kGroupBytes = 64 * kLineBytes;  // of a warpgroup's rows of W
constexpr int kSharedBytes = 104 << 10;  // two such blocks and a small one fit a multiprocessor
constexpr int kResident = 2, kMostStages = 12;
constexpr int kFixedBytes = static_cast<int>(kSharedSlack) + 256;  // alignment, barriers

// kGroups warpgroups with up to 64 rows of W each, and kColumns rows of x.
template <int kGroups_, int kColumns_>
struct Tiling {
  static constexpr int kGroups = kGroups_, kColumns = kColumns_;
  static constexpr int kConsumers = 128 * kGroups, kThreads = kConsumers + 32;
  static constexpr int kRows = 64 * kGroups;
  static constexpr int kColumnBytes = kColumns * kLineBytes;
  static constexpr int kSums = kColumns / 2;  // of a thread
  // A line of the sums in shared memory: one row of x. Its length spreads a warp over the banks.
  static constexpr int kSumLine = kRows + 4;
  static_assert(kSumLine % 16 == 4);
};

struct TileArgs {
  LinearOutput out;
  int tile_rows, row_tiles, k_tiles;  // of W; tile_rows is a multiple of 8
  int cluster;                        // blocks that share rows and cut K
  int num_stages, stage_bytes;        // of the ring
};

// What a block does: of rows of tiles first, first + stride, ... the columns [k_begin, k_end).
struct Work {
  int first, stride, k_begin, k_end;

  __device__ explicit Work(const TileArgs& a) {
    auto block = static_cast<int>(blockIdx.x);
    int member = block % a.cluster;
    first = block / a.cluster;
    stride = static_cast<int>(gridDim.x) / a.cluster;
    k_begin = a.k_tiles * member / a.cluster;
    k_end = a.k_tiles * (member + 1) / a.cluster;
  }
};

template <class T>
struct Ring {
  char* stages;
  uint64_t *full, *empty;
  int num_stages, stage_bytes;

  __device__ char* weight(int stage) const { return stages + stage * stage_bytes; }
  __device__ char* x(int stage) const { return weight(stage + 1) - T::kColumnBytes; }
};

// ---- the producer

// A tile of the work.
struct TileCursor {
  const Work& work;
  int row_tile, k;

  __device__ explicit TileCursor(const Work& w) : work(w), row_tile(w.first), k(w.k_begin) {}
  __device__ void advance() {
    if (++k == work.k_end) k = work.k_begin, row_tile += work.stride;
  }
};

template <class T>
struct Loader {
  const TileArgs& args;
  const Ring<T>& ring;
  const CUtensorMap *weight_map, *x_map;

  __device__ bool is_over(const TileCursor& at) const { return at.row_tile >= args.row_tiles; }
  __device__ void weight(int stage, const TileCursor& at) const {
    arrive_expecting(ring.full + stage, static_cast<uint32_t>(args.stage_bytes));
    copy_tile(ring.weight(stage), weight_map, at.k * kDepth, at.row_tile * args.tile_rows,
              ring.full + stage);
  }
  __device__ void x(int stage, const TileCursor& at) const {
    copy_tile(ring.x(stage), x_map, at.k * kDepth, 0, ring.full + stage);
  }

  // Weights before the inputs are ready, as far as the ring goes; then x for these; then both.
  __device__ void run(const Work& work) const {
    TileCursor ahead(work), behind(work);
    int num_ahead = 0;
    for (; num_ahead < ring.num_stages && !is_over(ahead); ahead.advance())
      weight(num_ahead++, ahead);
    if (is_over(ahead)) let_next_start();
    wait_for_previous();
    fence_copy_engine();
    for (int i = 0; i < num_ahead; ++i, behind.advance()) x(i, behind);
    if (is_over(ahead)) return;
    for (RingPosition at; !is_over(ahead); ahead.advance(), at.advance(ring.num_stages)) {
      wait_barrier(ring.empty + at.stage, at.parity);
      weight(at.stage, ahead);
      x(at.stage, ahead);
    }
    let_next_start();
  }
};

// ---- the consumers

// Adds up `count` tiles of one row of tiles; one stage's products are under way while the next is
// awaited. A warpgroup's lines past the tile's last are whatever is there: their sums are not used.
template <class T>
__device__ void multiply_tiles(const Ring<T>& ring, RingPosition& at, int count, bool has_lines,
                               float (&sums)[1][T::kSums]) {
  int group = threadIdx.x / 128, before = at.stage;
  for (int i = 0; i < count; ++i) {
    wait_barrier(ring.full + at.stage, at.parity);
    if (has_lines) {
      uint64_t w = tile_descriptor(ring.weight(at.stage) + group * kGroupBytes),
               x = tile_descriptor(ring.x(at.stage));
      begin_products();
#pragma unroll
      for (int k = 0; k < kDepth / 16; ++k)  // 32 bytes a step of 16 K; descriptors count in 16
        multiply(sums[0], w + k * 32 / 16, x + k * 32 / 16, i > 0 || k > 0);
      commit_products();
      wait_products<1>();
    }
    if (i > 0 && threadIdx.x % 32 == 0) arrive(ring.empty + before);
    before = at.stage;
    at.advance(ring.num_stages);
  }
  finish_products(sums);
  if (threadIdx.x % 32 == 0) arrive(ring.empty + before);
}

// Of this thread's sum s in half h of its lines (see multiply): the row of the tile and of x.
__device__ inline int row_of(int half) {
  int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  return warp * 16 + lane / 4 + 8 * half;
}
__device__ inline int x_of(int s) { return s / 2 * 8 + threadIdx.x % 4 * 2 + s % 2; }

// A block that has all of K; rows [first_row, end_row) of W.
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

// A cluster's blocks show each other their sums, and each stores a part of the outputs, four rows
// of a row of x at a time.
template <class T>
__device__ void store_shared_outputs(const LinearOutput& out, const float (&sums)[T::kSums],
                                     int first_row, int end_row, int cluster, float* mine) {
#pragma unroll
  for (int h = 0; h < 2; ++h)
#pragma unroll
    for (int s = 0; s < T::kSums / 2; ++s)
      mine[x_of(s) * T::kSumLine + row_of(h)] = sums[s / 2 * 4 + 2 * h + s % 2];
  sync_cluster();
  int member = static_cast<int>(blockIdx.x) % cluster;
  int quads = (end_row - first_row) / 4, count = out.num_x * quads;
  for (int i = member * T::kConsumers + static_cast<int>(threadIdx.x); i < count;
       i += cluster * T::kConsumers) {
    int x = i / quads, row = i % quads * 4;
    float4 sum = make_float4(0, 0, 0, 0);
    for (int m = 0; m < cluster; ++m) {
      float4 part = load_from_member(mine + x * T::kSumLine + row, m);
      sum.x += part.x, sum.y += part.y, sum.z += part.z, sum.w += part.w;
    }
    out.store_four(x, first_row + row, sum);
  }
  sync_cluster();  // until then this memory is read
}

template <class T>
__device__ void multiply_all(const TileArgs& a, const Ring<T>& ring, const Work& work) {
  wait_for_previous();
  RingPosition at;
  for (int tile = work.first; tile < a.row_tiles; tile += work.stride) {
    int first_row = tile * a.tile_rows, end_row = min(first_row + a.tile_rows, a.out.rows);
    bool has_lines = first_row + static_cast<int>(threadIdx.x) / 128 * 64 < end_row;
    float sums[1][T::kSums];
    multiply_tiles(ring, at, work.k_end - work.k_begin, has_lines, sums);
    if (a.cluster == 1) {
      store_outputs<T>(a.out, sums[0], first_row, end_row);
    } else {
      sync_some(1, T::kConsumers);  // the ring has been read
      store_shared_outputs<T>(a.out, sums[0], first_row, end_row, a.cluster,
                              reinterpret_cast<float*>(ring.stages));
    }
  }
}

template <class T>
__global__ void __launch_bounds__(T::kThreads, kResident)
    multiply_skinny(const __grid_constant__ CUtensorMap weight,
                    const __grid_constant__ CUtensorMap x, const __grid_constant__ TileArgs a) {
  __shared__ uint64_t barriers[2 * kMostStages];
  Ring<T> ring{dynamic_shared(), barriers, barriers + kMostStages, a.num_stages, a.stage_bytes};
  if (threadIdx.x == T::kConsumers) {
    prefetch_map(&weight);
    prefetch_map(&x);
    for (int s = 0; s < a.num_stages; ++s) {
      init_barrier(ring.full + s, 1);
      init_barrier(ring.empty + s, T::kConsumers / 32);
    }
    publish_barriers();
  }
  __syncthreads();
  Work work(a);
  if (threadIdx.x < T::kConsumers)
    multiply_all<T>(a, ring, work);
  else if (threadIdx.x == T::kConsumers)
    Loader<T>{a, ring, &weight, &x}.run(work);
}

// ---- launching

// Boxes [box_rows, kDepth] of a row-major matrix [rows, cols].
CUtensorMap tile_map(const void* data, int64_t rows, int64_t cols, int box_rows) {
  auto width = static_cast<uint64_t>(cols);
  return tensor_map({.data = data,
                     .dims = {width, static_cast<uint64_t>(rows)},
                     .strides = {width},
                     .box = {kDepth, static_cast<uint32_t>(box_rows)}});
}

bool is_aligned(const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; }

// wgmma reads whole warpgroups' lines: so far past the end of the last stage.
template <class T>
int overrun_bytes(const TileArgs& a) {
  return std::max(0, T::kRows * kLineBytes - a.stage_bytes);
}

// A block alone: the fewest rounds of tiles, then the fewest rows that make all shares equal.
template <class T>
TileArgs args_of(const LinearArgs& a, int cluster) {
  auto parts_of = [](int64_t n, int size) { return static_cast<int>((n + size - 1) / size); };
  int rounds = parts_of(a.weight.rows, num_sms() * T::kRows);
  TileArgs args{};
  args.out = output_of(a);
  args.tile_rows = cluster > 1 ? T::kRows : 8 * parts_of(a.weight.rows, 8 * num_sms() * rounds);
  args.row_tiles = parts_of(a.weight.rows, args.tile_rows);
  args.k_tiles = parts_of(a.weight.cols, kDepth);
  args.cluster = cluster;
  args.stage_bytes = args.tile_rows * kLineBytes + T::kColumnBytes;
  args.num_stages = std::min(
      kMostStages, (kSharedBytes - kFixedBytes - overrun_bytes<T>(args)) / args.stage_bytes);
  return args;
}

int blocks_of(const TileArgs& a) {
  return a.cluster > 1 ? a.row_tiles * a.cluster : std::min(a.row_tiles, num_sms());
}

template <class T>
size_t shared_bytes(const TileArgs& a) {
  int ring = a.num_stages * a.stage_bytes + overrun_bytes<T>(a);
  return kSharedSlack + static_cast<size_t>(std::max(ring, T::kColumns * T::kSumLine * 4));
}

// x: more rows than the next smaller tiling takes; K: whole 16-byte vectors. A cluster has one
// tile, since its sums take the place of the ring.
template <class T, int kSmaller, int kCluster>
bool takes(const LinearArgs& a) {
  TileArgs args = args_of<T>(a, kCluster);
  bool fits = kCluster == 1 || (blocks_of(args) <= kResident * num_sms() &&
                                args.k_tiles >= kCluster && a.weight.rows % 4 == 0);
  return fits && a.x.dim(0) <= T::kColumns && a.x.dim(0) > kSmaller &&
         a.weight.cols % kVectorWidth == 0 && is_aligned(a.x.data) && is_aligned(a.out.data) &&
         is_aligned(a.weight.data.data);
}

template <class T, int kCluster>
void run(Stream stream, const LinearArgs& a) {
  TileArgs args = args_of<T>(a, kCluster);
  CUtensorMap weight = tile_map(a.weight.data.data, a.weight.rows, a.weight.cols, args.tile_rows);
  CUtensorMap x = tile_map(a.x.data, a.x.dim(0), a.weight.cols, T::kColumns);
  allow_shared(reinterpret_cast<const void*>(multiply_skinny<T>), kSharedBytes);
  launch(stream,
         {.grid = dim3(static_cast<unsigned>(blocks_of(args))),
          .block = dim3(T::kThreads),
          .shared_bytes = shared_bytes<T>(args),
          .cluster = kCluster},
         multiply_skinny<T>, weight, x, args);
}

template <int kGroups, int kSmaller, int kColumns, int kCluster>
constexpr LinearKernel kernel(const char* name) {
  using T = Tiling<kGroups, kColumns>;
  return {name, takes<T, kSmaller, kCluster>, run<T, kCluster>};
}

}  // namespace

std::span<const LinearKernel> tile_kernels() {
  static const LinearKernel kernels[] = {
      kernel<1, 0, 8, 2>("tile64/2"),  kernel<1, 0, 8, 4>("tile64/4"),
      kernel<2, 0, 8, 1>("tile128"),   kernel<1, 8, 16, 2>("tile64/2"),
      kernel<1, 8, 16, 4>("tile64/4"), kernel<2, 8, 16, 1>("tile128")};
  return kernels;
}

}  // namespace ll::cuda
