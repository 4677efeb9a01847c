// Why it is right, by the PTX memory model:
// * Data reach who reads them: the threads of a block store, bar.sync orders that before the
//   st.release of the flag at the peer, which its ld.acquire and another bar.sync order before the
//   loads there. Loads are relaxed.sys: never served from an L1 line of an earlier call.
// * Calls are numbered. A flag holds the number of the last call whose rows are there and only
//   grows, so that nothing is reset; a peer may be one call ahead. The number lies in memory, as a
//   graph repeats its arguments, once for each block; blocks that a call lacks are counted by
//   others.
// * Rows lie in two halves, by the number's last bit. Who writes those of call n + 2 has ended n +
// 1,
//   in which it awaited flags that peers sent after all of their call n.
// * All blocks of a call run at once, and each sends before it waits.
#include <cuda_bf16.h>

#include <algorithm>
#include <map>

#include "base/numbers.h"
#include "kernels/cuda/device/launch.cuh"
#include "parallel/nccl/device_comm.cuh"
#include "parallel/nccl/nccl_fused.h"
#include "parallel/nccl/nccl_rooms.h"

namespace ll {
namespace {

constexpr int kMaxRanks = 8, kMaxThreads = 1024, kMaxBlocks = 512;
constexpr int kValues = 8;         // bfloat16 in a word of 16 bytes
constexpr size_t kFlagBytes = 32;  // a sector for each
constexpr size_t kFlagsBytes = kMaxRanks * kMaxBlocks * kFlagBytes;
constexpr int64_t kMostRows = 512;
constexpr size_t kSlotBytes = size_t{kMostRows} * 4096 * 2;  // one rank's rows

// Flags by source and block, then rows by half and source.
constexpr size_t window_bytes(int ranks) { return kFlagsBytes + 2 * ranks * kSlotBytes; }

struct Windows {
  char* of[kMaxRanks];  // as this GPU sees them, its own included

  __device__ uint32_t* flag(int at, int source) const {
    return reinterpret_cast<uint32_t*>(of[at] + (source * kMaxBlocks + blockIdx.x) * kFlagBytes);
  }
  __device__ uint4* rows(int at, int ranks, uint32_t call, int source) const {
    return reinterpret_cast<uint4*>(of[at] + kFlagsBytes +
                                    ((call & 1) * ranks + source) * kSlotBytes);
  }
};

struct Call {
  Windows windows;
  int rank;
  uint32_t* numbers;  // [kMaxBlocks] of the last call
  const uint4* delta;
  uint4* residual;
  const uint4* weight;
  uint4* out;
  int rows, packs, rows_per_block;  // packs: words of a row
  float eps;
};

// ---- kernel -------------------------------------------------------------------------------------

__device__ inline uint4 load_shared(const uint4* p) {
  uint4 v;
  asm volatile("ld.relaxed.sys.global.v4.u32 {%0,%1,%2,%3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(p)
               : "memory");
  return v;
}
__device__ inline void store_shared(uint4* p, uint4 v) {
  asm volatile("st.relaxed.sys.global.v4.u32 [%0], {%1,%2,%3,%4};" ::"l"(p), "r"(v.x), "r"(v.y),
               "r"(v.z), "r"(v.w)
               : "memory");
}
__device__ inline uint32_t load_acquire(const uint32_t* p) {
  uint32_t v;
  asm volatile("ld.acquire.sys.global.u32 %0, [%1];" : "=r"(v) : "l"(p) : "memory");
  return v;
}
__device__ inline void store_release(uint32_t* p, uint32_t v) {
  asm volatile("st.release.sys.global.u32 [%0], %1;" ::"l"(p), "r"(v) : "memory");
}

__device__ inline void add_to(float (&x)[kValues], uint4 p) {
  uint32_t words[] = {p.x, p.y, p.z, p.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    x[2 * i] += __uint_as_float(words[i] << 16);
    x[2 * i + 1] += __uint_as_float(words[i] & 0xffff0000u);
  }
}

__device__ inline uint4 to_pack(const float (&x)[kValues]) {
  auto two = [](float low, float high) {
    __nv_bfloat162 v = __floats2bfloat162_rn(low, high);
    return *reinterpret_cast<uint32_t*>(&v);
  };
  return {two(x[0], x[1]), two(x[2], x[3]), two(x[4], x[5]), two(x[6], x[7])};
}

// Normalises a row, of which this thread has one word. For all threads; `turn` alternates from row
// to row, so that one barrier is enough.
__device__ inline uint4 normed(const Call& c, uint4 values, uint4 gain, int turn) {
  __shared__ float parts[2][kMaxThreads / 32];
  float x[kValues] = {}, g[kValues] = {}, squares = 0;
  add_to(x, values);
#pragma unroll
  for (float v : x) squares += v * v;
  for (int d = 16; d > 0; d /= 2) squares += __shfl_xor_sync(~0u, squares, d);
  if (threadIdx.x % 32 == 0) parts[turn & 1][threadIdx.x / 32] = squares;
  __syncthreads();
  squares = 0;
  for (unsigned w = 0; w < blockDim.x / 32; ++w) squares += parts[turn & 1][w];
  float scale = rsqrtf(squares / static_cast<float>(c.packs * kValues) + c.eps);
  add_to(g, gain);
#pragma unroll
  for (int i = 0; i < kValues; ++i) x[i] *= scale * g[i];
  return to_pack(x);
}

template <int kRanks>
__device__ inline void signal_peers(const Call& c, uint32_t call) {
  __syncthreads();
  int peer = threadIdx.x;
  if (peer < kRanks && peer != c.rank) store_release(c.windows.flag(peer, c.rank), call);
}

template <int kRanks>
__device__ inline void await_peers(const Call& c, uint32_t call) {
  int peer = threadIdx.x;
  if (peer < kRanks && peer != c.rank) {
    const uint32_t* flag = c.windows.flag(c.rank, peer);
    while (static_cast<int32_t>(load_acquire(flag) - call) < 0) {
    }
  }
  __syncthreads();
}

// Block b has rows_per_block rows from b * rows_per_block on; thread t has word t of each.
template <int kRanks>
__global__ void __launch_bounds__(kMaxThreads) push_add_rms_norm(const __grid_constant__ Call c) {
  cuda::let_next_start();
  cuda::wait_for_previous();
  uint32_t call = c.numbers[blockIdx.x] + 1;
  int first = blockIdx.x * c.rows_per_block, last = min(first + c.rows_per_block, c.rows);
  int t = threadIdx.x;
  bool has_pack = t < c.packs;
  for (int row = first; row < last && has_pack; ++row) {
    int at = row * c.packs + t;
    uint4 own = c.delta[at];
#pragma unroll
    for (int r = 0; r < kRanks; ++r)
      if (r != c.rank) store_shared(c.windows.rows(r, kRanks, call, c.rank) + at, own);
  }
  signal_peers<kRanks>(c, call);
  uint4 zero = {}, gain = has_pack ? c.weight[t] : zero;
  uint4 old = has_pack ? c.residual[first * c.packs + t] : zero;
  await_peers<kRanks>(c, call);
  for (int row = first; row < last; ++row) {
    int at = row * c.packs + t;
    uint4 sum = zero;
    if (has_pack) {
      uint4 arrived[kRanks];
#pragma unroll
      for (int r = 0; r < kRanks; ++r)
        arrived[r] =
            r == c.rank ? c.delta[at] : load_shared(c.windows.rows(c.rank, kRanks, call, r) + at);
      if (row > first) old = c.residual[at];
      float x[kValues] = {};
#pragma unroll
      for (int r = 0; r < kRanks; ++r) add_to(x, arrived[r]);
      add_to(x, old);
      sum = to_pack(x);  // what is normalised is what is stored, as in the separate ops
      c.residual[at] = sum;
    }
    uint4 result = normed(c, sum, gain, row - first);
    if (has_pack) c.out[at] = result;
  }
  // All threads have read the number, and no other block has these words.
  for (int b = blockIdx.x + t * gridDim.x; b < kMaxBlocks; b += blockDim.x * gridDim.x)
    c.numbers[b] = call;
}

// ---- launcher -----------------------------------------------------------------------------------

class FusedPush final : public NcclFused {
 public:
  FusedPush(std::unique_ptr<NcclRooms> rooms, int rank) : rooms_(std::move(rooms)), rank_(rank) {
    for (size_t r = 0; r < rooms_->rooms().size(); ++r)
      windows_.of[r] = static_cast<char*>(rooms_->rooms()[r]);
    cuda::check(cudaMalloc(&numbers_, kMaxBlocks * sizeof *numbers_));
    cuda::check(cudaMemset(numbers_, 0, kMaxBlocks * sizeof *numbers_));
    cuda::check(cudaDeviceSynchronize());
  }
  ~FusedPush() override { cudaFree(numbers_); }
  FusedPush(const FusedPush&) = delete;
  FusedPush& operator=(const FusedPush&) = delete;

  int64_t max_rows() const override { return kMostRows; }

  bool takes(const AddRmsNormArgs& a) const override {
    int64_t rows = a.out.dim(0), hidden = a.out.dim(1);
    return a.out.dtype == DType::bf16 && !a.sum_squares && hidden % kValues == 0 &&
           hidden / kValues <= kMaxThreads && rows <= kMostRows && a.out.bytes() <= kSlotBytes;
  }

  void run(Stream stream, const AddRmsNormArgs& a) override {
    with_ranks(static_cast<int>(rooms_->rooms().size()),
               [&]<int kRanks>() { launch<kRanks>(stream, a); });
  }

 private:
  template <int kRanks>
  void launch(Stream stream, const AddRmsNormArgs& a) {
    auto rows = static_cast<int>(a.out.dim(0)), packs = static_cast<int>(a.out.dim(1) / kValues),
         threads = round_up(packs, 32);
    int rows_per_block = ceil_div(rows, blocks_at_once<kRanks>(threads));
    Call call{.windows = windows_,
              .rank = rank_,
              .numbers = numbers_,
              .delta = static_cast<const uint4*>(a.delta.data),
              .residual = static_cast<uint4*>(a.residual.data),
              .weight = static_cast<const uint4*>(a.weight.data),
              .out = static_cast<uint4*>(a.out.data),
              .rows = rows,
              .packs = packs,
              .rows_per_block = rows_per_block,
              .eps = a.eps};
    cuda::launch(stream, {dim3(ceil_div(rows, rows_per_block)), dim3(threads)},
                 push_add_rms_norm<kRanks>, call);
  }

  template <int kRanks>
  int blocks_at_once(int threads) {
    int& blocks = blocks_at_once_[threads];
    if (blocks == 0) {
      int device = 0, processors = 0;
      cuda::check(cudaGetDevice(&device));
      cuda::check(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device));
      cuda::check(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, push_add_rms_norm<kRanks>,
                                                                threads, 0));
      blocks = std::min(blocks * processors, kMaxBlocks);
    }
    return blocks;
  }

  std::unique_ptr<NcclRooms> rooms_;  // flags start at zero
  int rank_;
  Windows windows_{};
  uint32_t* numbers_ = nullptr;
  std::map<int, int> blocks_at_once_;  // by threads of a block
};

}  // namespace

std::unique_ptr<NcclFused> make_fused_push(void* nccl_comm, const MpiGroup& group) {
  auto rooms = NcclRooms::make(nccl_comm, group, window_bytes(group.size()));
  return rooms ? std::make_unique<FusedPush>(std::move(rooms), group.rank()) : nullptr;
}

}  // namespace ll
