#pragma once
// How W and x come to the blocks of linear_tile.cu and linear_block.cu: in slices of K through a
// ring in shared memory, which one thread fills.
#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/linear/linear_output.cuh"
#include "kernels/cuda/ptx/barriers.cuh"
#include "kernels/cuda/ptx/bulk_copy.cuh"
#include "kernels/cuda/ptx/portable.cuh"

namespace ll::cuda {

constexpr int kSliceDepth = 64;  // K of a slice: lines of 128 bytes
constexpr int kLineBytes = 2 * kSliceDepth;
constexpr int kMostStages = 12;
constexpr int kXRun = 8;  // tiles of x that take turns
constexpr int kFewXLines = 64;

// How a product is cut.
struct LinearCut {
  int tile_rows, row_tiles, k_tiles;  // of W; a tile of K is a stage's
  int log_parts;                      // blocks of a cluster, which have the parts of K
  int depth;                          // slices of K in a stage
  int x_lines, x_tiles;               // rows of x in a slice, the missing ones zero
  int num_stages, stage_bytes;        // of the ring
  bool is_early;                      // the next kernel may start as soon as all blocks have

  struct Place {
    int row_tile, x_tile;
  };
  __device__ int num_tiles() const { return row_tiles * x_tiles; }
  // Each tile of W then goes to one block alone, and the L2 cache need not keep it. With more rows
  // of x, saying so makes a step 1% slower.
  __device__ bool reads_weight_once() const { return x_tiles == 1 && x_lines <= kFewXLines; }
  // kXRun tiles of x in turn for each tile of W, so that both are still in the L2 cache when they
  // are read again.
  __device__ Place place_of(int tile) const {
    if (x_tiles == 1) return {tile, 0};
    int run = kXRun * row_tiles, first = tile / run * kXRun, count = min(kXRun, x_tiles - first);
    return {tile % run / count, first + tile % run % count};
  }
};

// What a block does: one of the parts of K of tiles `first`, first + stride and so on.
struct Work {
  int k_part, first, stride, k_begin, k_end;

  __device__ explicit Work(const LinearCut& cut) {
    k_part = static_cast<int>(blockIdx.x) & ((1 << cut.log_parts) - 1);
    first = static_cast<int>(blockIdx.x) >> cut.log_parts;
    stride = static_cast<int>(gridDim.x) >> cut.log_parts;
    k_begin = (cut.k_tiles * k_part) >> cut.log_parts;
    k_end = (cut.k_tiles * (k_part + 1)) >> cut.log_parts;
  }
};

// Stages of slices of W, then as many of x.
struct Ring {
  const LinearCut& cut;
  char* stages;
  uint64_t *full, *empty;

  __device__ char* weight(int stage) const { return stages + stage * cut.stage_bytes; }
  __device__ char* x(int stage) const {
    return weight(stage) + cut.depth * cut.tile_rows * kLineBytes;
  }
  __device__ char* end() const { return weight(cut.num_stages); }

  __device__ void init(int num_readers) const {
#pragma unroll 1
    for (int s = 0; s < cut.num_stages; ++s) {
      init_barrier(full + s, 1);
      init_barrier(empty + s, num_readers);
    }
  }
};

// The thread that fills the ring.
struct Loader {
  const Ring& ring;
  const Work& work;
  const CUtensorMap *weight_map, *x_map;

  // A tile of the work, and a slice of K.
  struct Cursor {
    int tile, k;
    LinearCut::Place place;
  };
  __device__ bool is_over(const Cursor& at) const { return at.tile >= ring.cut.num_tiles(); }
  __device__ void advance(Cursor& at) const {
    if (++at.k < work.k_end) return;
    at.k = work.k_begin, at.tile += work.stride;
    at.place = ring.cut.place_of(at.tile);
  }

  __device__ void weight(int stage, const Cursor& at) const {
    const LinearCut& c = ring.cut;
    arrive_expecting(ring.full + stage, static_cast<uint32_t>(c.stage_bytes));
#pragma unroll 1
    for (int d = 0; d < c.depth; ++d) {
      char* to = ring.weight(stage) + d * c.tile_rows * kLineBytes;
      int k = (at.k * c.depth + d) * kSliceDepth, row = at.place.row_tile * c.tile_rows;
      c.reads_weight_once() ? copy_tile_once(to, weight_map, k, row, ring.full + stage)
                            : copy_tile(to, weight_map, k, row, ring.full + stage);
    }
  }
  __device__ void x(int stage, const Cursor& at) const {
    const LinearCut& c = ring.cut;
#pragma unroll 1
    for (int d = 0; d < c.depth; ++d)
      copy_tile(ring.x(stage) + d * c.x_lines * kLineBytes, x_map,
                (at.k * c.depth + d) * kSliceDepth, at.place.x_tile * c.x_lines, ring.full + stage);
  }

  // Weights before the inputs are ready, as far as the ring goes; then x for these; then both.
  __device__ void run() const {
    if (ring.cut.is_early) let_next_start();
    Cursor ahead{work.first, work.k_begin, ring.cut.place_of(work.first)}, behind = ahead;
    int num_ahead = 0, num_stages = ring.cut.num_stages;
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

// What the end of a product needs is on its way before the inputs are: by all threads that store,
// which are at least as many as rows of x.
__device__ inline void look_up(const LinearOutput& out, int first_row, const LinearCut& cut,
                               int num_threads, RopePlace* places) {
  int thread = static_cast<int>(threadIdx.x), row = thread * kLineBytes / 2;
  if (out.bias && row < cut.tile_rows && first_row + row < out.rows)
    prefetch_to_l2(out.bias + first_row + row);
  if (out.kind != OutputKind::kRope) return;
  if (thread < out.num_x) {
    places[thread] = out.place_of(thread);
    const float* angles =
        out.rope.cos_sin + int64_t{max(places[thread].position, 0)} * out.rope.dim;
#pragma unroll 1
    for (int i = 0; i < out.rope.dim; i += kLineBytes / 4) prefetch_to_l2(angles + i);
  }
  sync_some(1, num_threads);
}

}  // namespace ll::cuda
