#pragma once
// How the blocks of linear_tile.cuh bring the sums of a tile together and store them. They move in
// runs of eight rows of W with all rows of x. Blocks with the parts of K deal a tile's runs among
// them: each sends every other its sums of that one's runs.
#include "base/numbers.h"
#include "kernels/cuda/linear/linear_output.cuh"
#include "kernels/cuda/ptx/barriers.cuh"
#include "kernels/cuda/ptx/clusters.cuh"

namespace ll::cuda {

constexpr int kRunRows = 8;

// Who of 2^log_parts blocks has which of a tile's runs: they are dealt in turn.
struct RunDeal {
  int runs, log_parts;

  __host__ __device__ int k_parts() const { return 1 << log_parts; }
  __device__ int owner(int run) const { return run & (k_parts() - 1); }
  __device__ int place(int run) const { return run >> log_parts; }  // among the owner's
  __device__ int num_own(int part) const { return (runs - part + k_parts() - 1) >> log_parts; }
};

// Where a block gathers the sums of its runs: for each part of K that sends, runs of kRunRows
// lines, each of the sums of all rows of x. A line's length spreads the lines over the banks.
__host__ __device__ constexpr int sums_line(int columns) {
  return columns + (columns / 8 % 2 == 0 ? 8 : 0);
}
__host__ __device__ constexpr int most_runs(int tile_rows, int k_parts) {
  return ceil_div(tile_rows / kRunRows, k_parts);
}
constexpr int gathered_bytes(int tile_rows, int k_parts, int columns) {
  return k_parts * most_runs(tile_rows, k_parts) * kRunRows * sums_line(columns) * 4;
}

// The sums of one tile at a time; its rows and those of W are multiples of kRunRows.
template <class T>
struct TileSums {
  static constexpr int kLine = sums_line(T::kColumns), kSentBytes = kRunRows * T::kColumns * 4;
  float* gathered;
  uint64_t* barrier;  // of what other blocks send
  int most, k_part;   // the most runs of a block
  RunDeal deal;
  int first_row = 0;

  __device__ void set_rows(const LinearOutput& out, int first, int tile_rows) {
    first_row = first;
    deal.runs = min(tile_rows, out.rows - first) / kRunRows;
  }
  __device__ int num_own() const { return deal.num_own(k_part); }

  __device__ float* line(int from_part, int run, int row) const {
    return gathered + ((from_part * most + run) * kRunRows + row) * kLine;
  }

  // Before other blocks may send: by one thread.
  __device__ void expect() const {
    init_barrier(barrier, 1);
    arrive_expecting(barrier, static_cast<uint32_t>((num_own() << deal.log_parts) * kSentBytes));
  }

  // Visits each run of which this warp has sums: who has it, and where this lane's first pair goes.
  template <class Visit>
  __device__ void for_each_run(Visit&& visit) const {
    int lane = threadIdx.x % 32;
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      int run = static_cast<int>(threadIdx.x) / 32 * 2 + h;
      if (run >= deal.runs) continue;
      visit(h, deal.owner(run), line(k_part, deal.place(run), lane / 4) + lane % 4 * 2);
    }
  }
  __device__ void send(const float (&sums)[T::kSums]) const {
    for_each_run([&](int h, int owner, float* to) {
      uint32_t there = member_address(to, owner), arrived = member_address(barrier, owner);
#pragma unroll
      for (int j = 0; j < T::kColumns / 8; ++j)
        store_at_member(there + j * 32, pair(sums, h, j), arrived);
    });
  }
  __device__ void keep(const float (&sums)[T::kSums]) const {
    for_each_run([&](int h, int, float* to) {
#pragma unroll
      for (int j = 0; j < T::kColumns / 8; ++j)
        *reinterpret_cast<float2*>(to + j * 8) = pair(sums, h, j);
    });
  }
  __device__ static float2 pair(const float (&sums)[T::kSums], int h, int j) {  // see multiply
    return make_float2(sums[4 * j + 2 * h], sums[4 * j + 2 * h + 1]);
  }

  // A thread takes eight rows of W for one of x, and adds up in the order of the parts.
  __device__ void store(const LinearOutput& out, const RopePlace* places,
                        const float* scales) const {
    out.with_kind([&]<OutputKind kKind>() { store_as<kKind>(out, places, scales); });
  }
  template <OutputKind kKind>
  __device__ void store_as(const LinearOutput& out, const RopePlace* places,
                           const float* scales) const {
    int count = num_own() * T::kColumns;
#pragma unroll 1
    for (int i = static_cast<int>(threadIdx.x); i < count; i += T::kConsumers) {
      int run = i / T::kColumns, x = i % T::kColumns;
      if (x >= out.num_x) continue;
      LinearOutput::Eight eight = out.eight_at<kKind>(
          x, first_row + ((run << deal.log_parts) + k_part) * kRunRows, places[x]);
      if (deal.log_parts > 0) wait_barrier(barrier, 0);
      float sums[kRunRows] = {};
#pragma unroll 2
      for (int part = 0; part < deal.k_parts(); ++part)
#pragma unroll
        for (int r = 0; r < kRunRows; ++r) sums[r] += line(part, run, r)[x];
      float squares = out.store_eight<kKind>(eight, sums, scales[x]);
      if constexpr (kKind == OutputKind::kNorm) out.add_to_norm(x, squares);
    }
  }
};

}  // namespace ll::cuda
