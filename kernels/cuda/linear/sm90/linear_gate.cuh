#pragma once
// The kernel of y = x W^T with SiLU-and-mul: see linear_gate.cu.
#include "kernels/cuda/linear/sm90/linear_block.cuh"
#include "kernels/cuda/ptx/barriers.cuh"
#include "kernels/cuda/ptx/bulk_copy.cuh"
#include "kernels/cuda/ptx/portable.cuh"
#include "kernels/cuda/ptx/registers.cuh"

namespace ll::cuda {

// What a block keeps of a tile until it is stored: [x_lines, tile_rows / 2] bfloat16.
__host__ __device__ constexpr int kept_bytes(int tile_rows, int x_lines) {
  return tile_rows * x_lines;
}

// A thread's rows of x: h of tile t is line 64 t + 8 h from the first on (see multiply).
template <class B>
struct RowScales {
  float of[B::kTiles][2];

  // Only of one tile of x.
  __device__ RowScales(const LinearOutput& out, int first) {
#pragma unroll
    for (int t = 0; t < B::kTiles; ++t)
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        int x = first + 64 * t + 8 * h;
        bool lacks = out.x_squares && x < out.num_x;
        of[t][h] = lacks ? out.scale_of(out.squares_of(x)) : 1.0f;
      }
  }
};

// SiLU-and-mul of a warpgroup's sums to its lines of shared memory. Of each four lanes, q has
// outputs 4 j + q of column block j: neighbours swap to have two side by side.
template <class B>
__device__ void keep_activations(const float (&sums)[B::kTiles][B::kRows / 2],
                                 const RowScales<B>& scales, char* lines) {
  int lane = static_cast<int>(threadIdx.x) % 32;
  bool is_odd = lane % 2 == 1;
  char* first = lines + (threadIdx.x % 128 / 32 * 16 + lane / 4) * B::kRows + lane % 4 / 2 * 4 +
                (is_odd ? 8 : 0);
#pragma unroll
  for (int t = 0; t < B::kTiles; ++t)
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      char* line = first + (64 * t + 8 * h) * B::kRows;
      float scale = scales.of[t][h];
      auto output = [&](int j) {
        const float* pair = sums[t] + 4 * j + 2 * h;
        return silu(pair[0] * scale) * (pair[1] * scale);
      };
#pragma unroll
      for (int j = 0; j < B::kRows / 8; j += 2) {
        float a = output(j), b = output(j + 1),
              other = __shfl_xor_sync(kFullWarp, is_odd ? a : b, 1);
        *reinterpret_cast<uint32_t*>(line + 8 * j) =
            is_odd ? pack_pair(other, b) : pack_pair(a, other);
      }
    }
}

// out: boxes of a warpgroup's lines and a tile's outputs
template <class B>
__global__ void __launch_bounds__(B::kThreads, 1)
    multiply_gate(const __grid_constant__ CUtensorMap weight, const __grid_constant__ CUtensorMap x,
                  const __grid_constant__ CUtensorMap out, const __grid_constant__ BlockArgs a) {
  __shared__ uint64_t barriers[2 * kMostStages];
  Work work(a.cut);
  Ring ring{a.cut, dynamic_shared(), barriers, barriers + kMostStages};
  int thread = static_cast<int>(threadIdx.x);
  if (thread == B::kConsumers) {
    prefetch_map(&weight);
    prefetch_map(&x);
    prefetch_map(&out);
    ring.init(B::kConsumers / 32);
    publish_barriers();
  }
  __syncthreads();
  if (thread >= B::kConsumers) {
    if constexpr (B::kMovesRegisters) shrink_registers<B::kLoaderRegisters>();
    if (thread == B::kConsumers) Loader{ring, work, &weight, &x}.run();
    return;
  }
  if constexpr (B::kMovesRegisters) grow_registers<B::kRegisters>();
  int group = thread / 128, first_line = group * B::kGroupLines;
  char* lines = ring.end() + first_line * B::kRows;
  bool stores = thread % 128 == 0;
  wait_for_previous();
  RowScales<B> scales(a.out, first_line + thread % 128 / 32 * 16 + thread % 32 / 4);
  RingPosition at;
#pragma unroll 1
  for (int tile = work.first; tile < a.cut.num_tiles(); tile += work.stride) {
    float sums[B::kTiles][B::kRows / 2];
    multiply_stages<B>(ring, at, a.cut.k_tiles, sums);
    if (stores) wait_stores_read();  // of the tile before
    sync_some(1 + group, 128);
    keep_activations<B>(sums, scales, lines);
    fence_shared_accesses();
    sync_some(1 + group, 128);
    if (!stores) continue;
    LinearCut::Place place = a.cut.place_of(tile);
    store_tile(&out, place.row_tile * (B::kRows / 2), place.x_tile * B::kXLines + first_line,
               lines);
    commit_stores();
  }
  if (stores) wait_stores_read();
}

}  // namespace ll::cuda
