#pragma once
// The kernel of y = x W^T for some hundreds of rows of x: see linear_block.cu.
#include "kernels/cuda/linear/sm90/linear_ring.cuh"
#include "kernels/cuda/ptx/barriers.cuh"
#include "kernels/cuda/ptx/bulk_copy.cuh"
#include "kernels/cuda/ptx/clusters.cuh"
#include "kernels/cuda/ptx/portable.cuh"
#include "kernels/cuda/ptx/registers.cuh"
#include "kernels/cuda/ptx/wgmma.cuh"

namespace ll::cuda {

constexpr int kMostXLines = 256;
constexpr int kEight = 8;                                       // rows of W that are stored at once
constexpr int kLeastRows = 32, kMostRows = 160, kRowStep = 16;  // of W in a tile

// Blocks a multiprocessor has room for.
__host__ __device__ constexpr int resident_blocks(int x_lines) { return x_lines == 64 ? 2 : 1; }

// A line of sums in shared memory: of one row of x. Its length spreads the lines over the banks,
// as tiles have a multiple of 16 rows.
__host__ __device__ constexpr int block_line(int tile_rows) { return tile_rows + 8; }
// The lines of all rows of x, then those that other blocks send.
__host__ __device__ constexpr int block_sums_bytes(int tile_rows, int x_lines, int log_parts) {
  return (2 * x_lines - (x_lines >> log_parts)) * block_line(tile_rows) * 4;
}

// A tile has kRows of W and all rows of x: kTiles times 64 for each of kGroups warpgroups.
// Registers are handed out by whole warpgroups, so that the loading thread has one of its own.
template <int kRows_, int kGroups, int kTiles_>
struct Blocking {
  static constexpr int kRows = kRows_, kTiles = kTiles_;
  static constexpr int kGroupLines = 64 * kTiles, kXLines = kGroups * kGroupLines;
  static constexpr int kConsumers = 128 * kGroups, kThreads = kConsumers + 128;
  static constexpr int kResident = resident_blocks(kXLines);
  static constexpr bool kMovesRegisters = kGroups > 1;
  static constexpr int kLoaderRegisters = 24, kRegisters = kGroups == 2 ? 240 : 160;
};

// The sums of a tile, which take the ring's place. Rows of x are dealt in turn among the blocks
// with the parts of K: each has the lines of one owner behind those of another, and sends them
// together.
template <class B>
struct BlockSums {
  static constexpr int kRows = B::kRows, kLine = block_line(kRows);
  float* lines;
  uint64_t* barrier;  // of what other blocks send
  int num_x, first_row, num_rows, k_part, log_parts;

  __device__ int k_parts() const { return 1 << log_parts; }
  __device__ int num_of(int part) const { return (num_x - part + k_parts() - 1) >> log_parts; }
  // The first line of an owner, and of what a part has sent to one.
  __device__ float* of_owner(int owner) const {
    return lines + owner * (B::kXLines >> log_parts) * kLine;
  }
  __device__ float* sent_by(int part, int owner) const {
    return part == owner ? of_owner(part) : of_owner(k_parts() + part - (part > owner));
  }
  __device__ uint32_t bytes_of(int owner) const {
    return static_cast<uint32_t>(num_of(owner) * kLine * 4);
  }

  // Before other blocks may send: by one thread.
  __device__ void expect() const {
    init_barrier(barrier, 1);
    arrive_expecting(barrier, static_cast<uint32_t>(k_parts() - 1) * bytes_of(k_part));
  }

  __device__ void keep(const float (&sums)[B::kTiles][kRows / 2]) const {
    int thread = static_cast<int>(threadIdx.x), lane = thread % 32;
    int first = thread / 128 * B::kGroupLines + thread % 128 / 32 * 16 + lane / 4;
#pragma unroll
    for (int t = 0; t < B::kTiles; ++t)
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        int x = first + 64 * t + 8 * h;
        float* to = of_owner(x & (k_parts() - 1)) + (x >> log_parts) * kLine + lane % 4 * 2;
#pragma unroll
        for (int j = 0; j < kRows / 8; ++j)  // see multiply
          *reinterpret_cast<float2*>(to + j * 8) =
              make_float2(sums[t][4 * j + 2 * h], sums[t][4 * j + 2 * h + 1]);
      }
  }

  // To all others, by one thread, when all have kept theirs.
  __device__ void send() const {
#pragma unroll 1
    for (int i = 1; i < k_parts(); ++i) {
      int owner = (k_part + i) & (k_parts() - 1);
      copy_to_member(member_address(sent_by(k_part, owner), owner), of_owner(owner),
                     bytes_of(owner), member_address(barrier, owner));
    }
  }

  // A thread takes eight rows of W for one of x, twice at once, and adds up in the order of the
  // parts. Two neighbours always have the same row of x. Arrives at the cluster when all that is
  // sent to this block is there.
  template <OutputKind kKind>
  __device__ void store(const LinearOutput& out, const RopePlace* places) const {
    constexpr int kAtOnce = 2, kEights = kRows / kEight;
    int count = num_of(k_part) * kEights;
#pragma unroll 1
    for (int i = static_cast<int>(threadIdx.x); i < count; i += kAtOnce * B::kConsumers) {
      LinearOutput::Eight eights[kAtOnce];
      float sums[kAtOnce][kEight] = {};
      int x[kAtOnce], from[kAtOnce];
      uint64_t x_squares[kAtOnce];
#pragma unroll
      for (int e = 0; e < kAtOnce; ++e) {
        int at = min(i + e * B::kConsumers, count - 1), row = at % kEights * kEight;
        x[e] = at / kEights << log_parts | k_part;
        x_squares[e] = out.squares_of(x[e]);
        from[e] = at / kEights * kLine + row;
        eights[e] =
            out.eight_at<kKind>(x[e], first_row + min(row, num_rows - kEight), places[x[e]]);
        if (i + e * B::kConsumers >= count || row >= num_rows) eights[e].to = nullptr;
      }
      if (log_parts > 0) {
        wait_barrier(barrier, 0);
        if (i < B::kConsumers) arrive_at_cluster_relaxed();
      }
#pragma unroll 1
      for (int part = 0; part < k_parts(); ++part)
#pragma unroll
        for (int e = 0; e < kAtOnce; ++e) add_eight(sums[e], sent_by(part, k_part) + from[e]);
#pragma unroll
      for (int e = 0; e < kAtOnce; ++e) {
        float squares = out.store_eight<kKind>(eights[e], sums[e], out.scale_of(x_squares[e]));
        if constexpr (kKind == OutputKind::kNorm) {
          squares += __shfl_xor_sync(3u << (threadIdx.x & 30), squares, 1);
          if (threadIdx.x % 2 == 0 && eights[e].to) out.add_to_norm(x[e], squares);
        }
      }
    }
    if (log_parts > 0 && static_cast<int>(threadIdx.x) >= count) arrive_at_cluster_relaxed();
  }
  __device__ static void add_eight(float (&sums)[kEight], const float* from) {
    auto* fours = reinterpret_cast<const float4*>(from);
    float4 a = fours[0], b = fours[1];
    sums[0] += a.x, sums[1] += a.y, sums[2] += a.z, sums[3] += a.w;
    sums[4] += b.x, sums[5] += b.y, sums[6] += b.z, sums[7] += b.w;
  }
};

struct BlockArgs {
  LinearOutput out;
  LinearCut cut;
};

// Adds up all stages: a warpgroup's rows of x are the matrix unit's lines.
template <class B>
__device__ void multiply_stages(const Ring& ring, RingPosition& at, int count,
                                float (&sums)[B::kTiles][B::kRows / 2]) {
  bool releases = threadIdx.x % 32 == 0;
  auto uniform = [](uint32_t x) { return __shfl_sync(kFullWarp, x, 0); };  // known to be, then
  auto stage_step = static_cast<uint32_t>(ring.cut.stage_bytes / 16);
  uint32_t first_w = descriptor_low(ring.weight(0)),
           first_x = descriptor_low(ring.x(0) + threadIdx.x / 128 * B::kGroupLines * kLineBytes);
#pragma unroll 1
  for (int i = 0; i < count; ++i) {
    wait_barrier(ring.full + at.stage, at.parity);
    uint32_t stage = static_cast<uint32_t>(at.stage) * stage_step;
    uint32_t w = uniform(first_w + stage), x = uniform(first_x + stage);
    begin_products();
#pragma unroll
    for (uint32_t k = 0; k < kSliceDepth / 16; ++k)  // 32 bytes a step of 16 K
#pragma unroll
      for (uint32_t t = 0; t < B::kTiles; ++t)
        multiply(sums[t], descriptor_of(x + t * (64 * kLineBytes / 16) + k * 2),
                 descriptor_of(w + k * 2), i > 0 || k > 0);
    commit_products();
    finish_products(sums);
    if (releases) arrive(ring.empty + at.stage);
    at.advance(ring.cut.num_stages);
  }
}

template <class B>
__global__ void __launch_bounds__(B::kThreads, B::kResident)
    multiply_block(const __grid_constant__ CUtensorMap weight,
                   const __grid_constant__ CUtensorMap x, const __grid_constant__ BlockArgs a) {
  __shared__ uint64_t barriers[2 * kMostStages + 1];
  __shared__ RopePlace places[kMostXLines];
  const LinearCut& cut = a.cut;
  Work work(cut);
  Ring ring{cut, dynamic_shared(), barriers, barriers + kMostStages};
  int thread = static_cast<int>(threadIdx.x), first_row = work.first * B::kRows;
  BlockSums<B> tile{reinterpret_cast<float*>(ring.stages),
                    barriers + 2 * kMostStages,
                    a.out.num_x,
                    first_row,
                    min(B::kRows, a.out.rows - first_row),
                    work.k_part,
                    cut.log_parts};
  if (thread == B::kConsumers) {
    prefetch_map(&weight);
    prefetch_map(&x);
    ring.init(B::kConsumers / 32);
    tile.expect();
    publish_barriers();
  }
  __syncthreads();
  if (cut.log_parts > 0) arrive_at_cluster_relaxed();
  if (thread >= B::kConsumers) {
    if constexpr (B::kMovesRegisters) shrink_registers<B::kLoaderRegisters>();
    if (thread == B::kConsumers) Loader{ring, work, &weight, &x}.run();
    return;
  }
  if constexpr (B::kMovesRegisters) grow_registers<B::kRegisters>();
  look_up(a.out, first_row, cut, B::kConsumers, places);
  wait_for_previous();
  float sums[B::kTiles][B::kRows / 2];
  RingPosition at;
  multiply_stages<B>(ring, at, work.k_end - work.k_begin, sums);
  if (cut.log_parts > 0) {
    wait_for_cluster();  // barriers are there
    arrive_at_cluster();
  }
  sync_some(1, B::kConsumers);  // the ring has been read
  tile.keep(sums);
  if (cut.log_parts > 0) fence_shared_accesses();
  sync_some(1, B::kConsumers);  // all sums are there
  if (cut.log_parts > 0) {
    wait_for_cluster();  // all rings have been read: what others send may take their place
    if (thread == 0) tile.send();
  }
  a.out.with_kind([&]<OutputKind kKind>() { tile.template store<kKind>(a.out, places); });
  if (cut.log_parts > 0) wait_for_cluster();  // what was sent has been read
}

// Calls launch.operator()<blocking>() with that of the cut's tiles.
template <int kRows = kLeastRows, class Launch>
void with_blocking(const LinearCut& c, Launch&& launch) {
  if constexpr (kRows < kMostRows)
    if (c.tile_rows > kRows) return with_blocking<kRows + kRowStep>(c, launch);
  switch (c.x_lines) {
    case 64:
      return launch.template operator()<Blocking<kRows, 1, 1>>();
    case 128:
      return launch.template operator()<Blocking<kRows, 2, 1>>();
    case 192:
      return launch.template operator()<Blocking<kRows, 3, 1>>();
    default:
      return launch.template operator()<Blocking<kRows, 2, 2>>();
  }
}

}  // namespace ll::cuda
