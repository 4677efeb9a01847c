// y = x W^T for up to 64 rows of x on tensor cores, at the speed of reading W: 64 rows of W are the
// matrix unit's lines, the rows of x (8, 16, 32 or 64, the missing ones zero) its columns. All
// tiles of W, 64 K wide, row after row of tiles, are cut into equal runs, one a block, so that
// every block reads the same number of bytes; where a cut falls inside a row of tiles, its blocks
// leave their sums in scratch memory and the last of them adds them up, in the order of K.
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
constexpr int kLineBytes = 2 * kDepth, kTileBytes = 64 * kLineBytes;
constexpr size_t kSharedBytes = 104 << 10;  // two such blocks and a small one fit a multiprocessor

// A block's tile: kGroups warpgroups with kTiles times 64 rows of W each, and kColumns rows of x.
template <int kGroups_, int kTiles_, int kColumns_, size_t kShared_ = kSharedBytes>
struct Tiling {
  static constexpr int kGroups = kGroups_, kTiles = kTiles_, kColumns = kColumns_;
  static constexpr int kConsumers = 128 * kGroups, kThreads = kConsumers + 32;
  static constexpr int kRows = 64 * kGroups * kTiles;
  static constexpr int kWeightBytes = kRows * kLineBytes,
                       kStageBytes = kWeightBytes + kColumns * kLineBytes;
  static constexpr int kFixedBytes = kSharedSlack + 256;  // and barriers
  static constexpr int kStages = std::min<int>(12, (kShared_ - kFixedBytes) / kStageBytes);
  static constexpr size_t kShared = kFixedBytes + kStages * kStageBytes;
  static constexpr int kResident = kShared <= kSharedBytes ? 2 : 1;
  static constexpr int kSums = kColumns / 2;         // that a thread has of 64 rows
  static constexpr int kPartial = kRows * kColumns;  // floats of a block's sums
};

struct TileArgs {
  LinearOutput out;
  int row_tiles, k_tiles;
  float4* partials;   // [blocks, 2]: sums of a run's first and last row of tiles
  uint32_t* tickets;  // [row_tiles]
};

// The run of tiles of a block, and which block has a tile; tiles * num_blocks < 2^31, since long
// divisions take long.
__device__ int run_begin(int tiles, int block, int num_blocks) {
  return static_cast<int>(static_cast<uint32_t>(tiles * block) / static_cast<uint32_t>(num_blocks));
}
__device__ int block_of_tile(int tiles, int tile, int num_blocks) {
  return static_cast<int>(static_cast<uint32_t>((tile + 1) * num_blocks - 1) /
                          static_cast<uint32_t>(tiles));
}

template <class T>
struct Ring {
  char* stages;
  uint64_t *full, *empty;

  __device__ char* weight(int stage) const { return stages + stage * T::kStageBytes; }
  __device__ char* x(int stage) const { return weight(stage) + T::kWeightBytes; }
};

// The producer: weights before the inputs are ready, as far as the ring goes; then x for these;
// then both.
template <class T>
__device__ void load_tiles(const Ring<T>& ring, const CUtensorMap* weight, const CUtensorMap* x,
                           int k_tiles, int begin, int end) {
  auto load_weight = [&](int stage, int tile) {
    arrive_expecting(ring.full + stage, T::kStageBytes);
    copy_tile(ring.weight(stage), weight, tile % k_tiles * kDepth, tile / k_tiles * T::kRows,
              ring.full + stage);
  };
  auto load_x = [&](int stage, int tile) {
    copy_tile(ring.x(stage), x, tile % k_tiles * kDepth, 0, ring.full + stage);
  };
  int ahead = min(end - begin, T::kStages);
  for (int i = 0; i < ahead; ++i) load_weight(i, begin + i);
  if (begin + ahead == end) let_next_start();
  wait_for_previous();
  fence_copy_engine();
  for (int i = 0; i < ahead; ++i) load_x(i, begin + i);
  if (begin + ahead == end) return;
  RingPosition at;
  for (int tile = begin + ahead; tile < end; ++tile) {
    wait_barrier(ring.empty + at.stage, at.parity);
    load_weight(at.stage, tile);
    load_x(at.stage, tile);
    at.advance(T::kStages);
  }
  let_next_start();
}

// Adds up `count` tiles of one row of tiles.
template <class T>
__device__ void multiply_tiles(const Ring<T>& ring, RingPosition& at, int count,
                               float (&sums)[T::kTiles][T::kSums]) {
  int group = threadIdx.x / 128;
  for (int i = 0; i < count; ++i) {
    wait_barrier(ring.full + at.stage, at.parity);
    uint64_t w = tile_descriptor(ring.weight(at.stage) + group * T::kTiles * kTileBytes),
             x = tile_descriptor(ring.x(at.stage));
    begin_products();
#pragma unroll
    for (int k = 0; k < kDepth / 16; ++k)
#pragma unroll
      for (int t = 0; t < T::kTiles; ++t)  // 32 bytes a step of 16 K; descriptors count in 16
        multiply(sums[t], w + (t * kTileBytes + k * 32) / 16, x + k * 32 / 16, i > 0 || k > 0);
    commit_products();
    finish_products(sums);
    if (threadIdx.x % 32 == 0) arrive(ring.empty + at.stage);
    at.advance(T::kStages);
  }
}

template <class T>
__device__ void store_outputs(const LinearOutput& out, const float (&sums)[T::kTiles][T::kSums],
                              int first_row) {
  int group = threadIdx.x / 128, warp = threadIdx.x / 32 % 4, lane = threadIdx.x % 32;
#pragma unroll
  for (int t = 0; t < T::kTiles; ++t)
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      int row = first_row + (group * T::kTiles + t) * 64 + warp * 16 + lane / 4 + 8 * h;
      float bias = row < out.rows ? out.bias_of(row) : 0.0f;
#pragma unroll
      for (int s = 0; s < T::kSums / 2; ++s) {
        int x = s / 2 * 8 + lane % 4 * 2 + s % 2;
        float sum = sums[t][s / 2 * 4 + 2 * h + s % 2] + bias;
        bool is_output = row < out.rows && x < out.num_x;
        if (out.is_silu) {
          float next = __shfl_down_sync(kFullWarp, sum, 4);  // the same x, the next row
          if (is_output && row % 2 == 0) out.store_pair(x, row, sum, next);
        } else if (is_output) {
          out.store(x, row, sum);
        }
      }
    }
}

// The sums that block `block` left of its run's first row of tiles, or of its last. What a thread
// has is spread in vectors of four, in the order of threads: [kVectors, kConsumers].
template <class T>
__device__ float4* partial_of(const TileArgs& a, int block, bool is_first_of_run) {
  return a.partials + (2 * int64_t{block} + !is_first_of_run) * (T::kPartial / 4) + threadIdx.x;
}

// Adds up what blocks `first` to `last` left of a row of tiles, several at once on their way.
template <class T>
__device__ void add_partials(const TileArgs& a, int first_tile, int first, int last,
                             float (&sums)[T::kTiles][T::kSums]) {
  constexpr int kVectors = T::kTiles * T::kSums / 4, kAtOnce = kVectors < 8 ? 8 / kVectors : 1;
  int tiles = a.row_tiles * a.k_tiles, blocks = gridDim.x;
#pragma unroll
  for (int v = 0; v < kVectors * 4; ++v) sums[v / T::kSums][v % T::kSums] = 0;
  for (int begin = first; begin <= last; begin += kAtOnce) {
    float4 add[kAtOnce][kVectors];
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) {
      int block = begin + i;
      const float4* part = partial_of<T>(a, block, run_begin(tiles, block, blocks) >= first_tile);
#pragma unroll
      for (int v = 0; v < kVectors; ++v)
        add[i][v] = block <= last ? __ldcg(part + v * T::kConsumers) : make_float4(0, 0, 0, 0);
    }
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i)
#pragma unroll
      for (int v = 0; v < kVectors; ++v) {
        float* s = &sums[v * 4 / T::kSums][v * 4 % T::kSums];
        s[0] += add[i][v].x, s[1] += add[i][v].y, s[2] += add[i][v].z, s[3] += add[i][v].w;
      }
  }
}

// Leaves this block's sums; true in all consumers of the last block of the row of tiles, whose sums
// are then the whole.
template <class T>
__device__ bool add_to_others(const TileArgs& a, float (&sums)[T::kTiles][T::kSums], int row_tile,
                              bool is_first_of_run) {
  __shared__ bool is_last;
  float4* mine = partial_of<T>(a, blockIdx.x, is_first_of_run);
#pragma unroll
  for (int v = 0; v < T::kTiles * T::kSums / 4; ++v) {
    const float* s = &sums[v * 4 / T::kSums][v * 4 % T::kSums];
    __stcg(mine + v * T::kConsumers, make_float4(s[0], s[1], s[2], s[3]));
  }
  int tiles = a.row_tiles * a.k_tiles, blocks = gridDim.x, first_tile = row_tile * a.k_tiles;
  int first = block_of_tile(tiles, first_tile, blocks),
      last = block_of_tile(tiles, first_tile + a.k_tiles - 1, blocks);
  __threadfence();
  sync_some(1, T::kConsumers);
  if (threadIdx.x == 0) {
    is_last = atomicAdd(a.tickets + row_tile, 1u) == static_cast<uint32_t>(last - first);
    if (is_last) a.tickets[row_tile] = 0;
    __threadfence();
  }
  sync_some(1, T::kConsumers);
  if (is_last) add_partials<T>(a, first_tile, first, last, sums);
  return is_last;
}

template <class T>
__device__ void multiply_run(const TileArgs& a, const Ring<T>& ring, int begin, int end) {
  wait_for_previous();
  RingPosition at;
  for (int tile = begin; tile < end;) {
    int row_tile = tile / a.k_tiles, count = min(end, (row_tile + 1) * a.k_tiles) - tile;
    float sums[T::kTiles][T::kSums];
    multiply_tiles(ring, at, count, sums);
    if (count == a.k_tiles || add_to_others<T>(a, sums, row_tile, tile == begin))
      store_outputs<T>(a.out, sums, row_tile * T::kRows);
    tile += count;
  }
}

template <class T>
__global__ void __launch_bounds__(T::kThreads, T::kResident)
    multiply_skinny(const __grid_constant__ CUtensorMap weight,
                    const __grid_constant__ CUtensorMap x, const __grid_constant__ TileArgs a) {
  char* shared = dynamic_shared();
  auto* barriers = reinterpret_cast<uint64_t*>(shared + T::kStages * T::kStageBytes);
  Ring<T> ring{shared, barriers, barriers + T::kStages};
  if (threadIdx.x == 0) {
    for (int s = 0; s < T::kStages; ++s) {
      init_barrier(ring.full + s, 1);
      init_barrier(ring.empty + s, T::kConsumers / 32);
    }
    publish_barriers();
    prefetch_map(&weight);
    prefetch_map(&x);
  }
  __syncthreads();
  int tiles = a.row_tiles * a.k_tiles;
  int begin = run_begin(tiles, blockIdx.x, gridDim.x),
      end = run_begin(tiles, blockIdx.x + 1, gridDim.x);
  if (threadIdx.x < T::kConsumers)
    multiply_run<T>(a, ring, begin, end);
  else if (threadIdx.x == T::kConsumers)
    load_tiles<T>(ring, &weight, &x, a.k_tiles, begin, end);
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

template <class T>
TileArgs args_of(const LinearArgs& a) {
  auto tiles_of = [](int64_t n, int size) { return static_cast<int>((n + size - 1) / size); };
  return {output_of(a), tiles_of(a.weight.rows, T::kRows), tiles_of(a.weight.cols, kDepth),
          static_cast<float4*>(scratch().data), static_cast<uint32_t*>(zeroed_counters().data)};
}

// x: more rows than the next smaller tiling takes; K: whole 16-byte vectors.
template <class T>
bool takes(const LinearArgs& a) {
  int64_t x = a.x.dim(0);
  return x <= T::kColumns && (T::kColumns == 8 || x > T::kColumns / 2) &&
         a.weight.cols % kVectorWidth == 0 && is_aligned(a.x.data) &&
         is_aligned(a.weight.data.data) &&
         static_cast<size_t>(args_of<T>(a).row_tiles) * sizeof(uint32_t) <=
             zeroed_counters().bytes &&
         2 * sizeof(float) * T::kPartial * static_cast<size_t>(num_sms()) <= scratch().bytes &&
         int64_t{args_of<T>(a).row_tiles} * args_of<T>(a).k_tiles * num_sms() < INT32_MAX;
}

template <class T>
void run(Stream stream, const LinearArgs& a) {
  TileArgs args = args_of<T>(a);
  CUtensorMap weight = tile_map(a.weight.data.data, a.weight.rows, a.weight.cols, T::kRows);
  CUtensorMap x = tile_map(a.x.data, a.x.dim(0), a.weight.cols, T::kColumns);
  auto blocks = static_cast<unsigned>(std::min(num_sms(), args.row_tiles * args.k_tiles));
  allow_shared(reinterpret_cast<const void*>(multiply_skinny<T>), T::kShared);
  launch(stream, {dim3(blocks), dim3(T::kThreads), T::kShared}, multiply_skinny<T>, weight, x,
         args);
}

template <class T>
constexpr LinearKernel kernel(const char* name) {
  return {name, takes<T>, run<T>};
}

}  // namespace

std::span<const LinearKernel> tile_kernels() {
  static const LinearKernel kernels[] = {kernel<Tiling<1, 1, 8>>("tile64x8"),
                                         kernel<Tiling<2, 1, 8>>("tile128x8"),
                                         kernel<Tiling<1, 1, 16>>("tile64x16"),
                                         kernel<Tiling<2, 1, 16>>("tile128x16"),
                                         kernel<Tiling<1, 1, 32>>("tile64x32"),
                                         kernel<Tiling<2, 1, 32>>("tile128x32"),
                                         kernel<Tiling<1, 1, 64>>("tile64x64"),
                                         kernel<Tiling<2, 1, 64>>("tile128x64"),
                                         kernel<Tiling<2, 2, 64, 164 << 10>>("tile256x64")};
  return kernels;
}

}  // namespace ll::cuda
