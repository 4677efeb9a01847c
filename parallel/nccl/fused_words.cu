#include <cuda_bf16.h>

#include "base/numbers.h"
#include "kernels/cuda/device/launch.cuh"
#include "kernels/few_rows.h"
#include "parallel/nccl/device_comm.cuh"
#include "parallel/nccl/nccl_check.h"
#include "parallel/nccl/nccl_fused.h"

namespace ll {
namespace {

// ---- kernel -------------------------------------------------------------------------------------

struct alignas(8) Pack {  // four values, the data of one flagged word
  __nv_bfloat162 low, high;
};

constexpr int kMaxThreads = 1024, kMaxPacks = 4;  // packs a thread holds: hidden up to 16384

__device__ inline void add_to(float (&sum)[4], Pack p) {
  float2 a = __bfloat1622float2(p.low), b = __bfloat1622float2(p.high);
  sum[0] += a.x, sum[1] += a.y, sum[2] += b.x, sum[3] += b.y;
}

__device__ inline Pack to_pack(const float (&x)[4]) {
  return {__floats2bfloat162_rn(x[0], x[1]), __floats2bfloat162_rn(x[2], x[3])};
}

__device__ inline float block_sum(float x) {
  __shared__ float parts[32];
  for (int d = 16; d > 0; d /= 2) x += __shfl_xor_sync(~0u, x, d);
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = x;
  __syncthreads();
  x = 0;
  for (unsigned w = 0; w < ceil_div(blockDim.x, 32u); ++w) x += parts[w];
  return x;
}

// One block a row; thread t has packs t, t + blockDim.x, ...
template <int kRanks, int kThreadPacks>
__global__ void __launch_bounds__(kMaxThreads)
    all_reduce_add_rms_norm(ncclDevComm comm, ncclLLA2AHandle slots, const Pack* delta,
                            Pack* residual, const Pack* weight, Pack* out, int packs,
                            int max_elements, float eps) {
  cuda::let_next_start();
  cuda::wait_for_previous();
  ncclCoopCta block;
  // Reads its epoch from memory that the previous call wrote.
  ncclLLA2ASession<ncclCoopCta> session(block, comm, ncclTeamLsa(comm), slots, blockIdx.x,
                                        max_elements);
  size_t row = static_cast<size_t>(blockIdx.x) * packs;
  Pack gain[kThreadPacks];
  float x[kThreadPacks][4] = {};
#pragma unroll
  for (int i = 0; i < kThreadPacks; ++i) {
    int p = threadIdx.x + i * blockDim.x;
    if (p < packs) session.bcast(comm.rank * packs + p, delta[row + p]);
  }
  float squares = 0;
#pragma unroll
  for (int i = 0; i < kThreadPacks; ++i) {
    int p = threadIdx.x + i * blockDim.x;
    if (p >= packs) continue;
    Pack own = residual[row + p], arrived[kRanks];
    gain[i] = weight[p];
    session.template recvUnrolled<kRanks, kRanks>(p, kRanks, packs, arrived);
#pragma unroll
    for (int r = 0; r < kRanks; ++r) add_to(x[i], arrived[r]);
    add_to(x[i], own);
    // What is normalised is what is stored, as in the separate ops.
    own = to_pack(x[i]);
    residual[row + p] = own;
    x[i][0] = x[i][1] = x[i][2] = x[i][3] = 0;
    add_to(x[i], own);
    for (float v : x[i]) squares += v * v;
  }
  float scale = rsqrtf(block_sum(squares) / static_cast<float>(packs * 4) + eps);
#pragma unroll
  for (int i = 0; i < kThreadPacks; ++i) {
    int p = threadIdx.x + i * blockDim.x;
    if (p >= packs) continue;
    float g[4] = {};
    add_to(g, gain[i]);
    for (int k = 0; k < 4; ++k) x[i][k] *= scale * g[k];
    out[row + p] = to_pack(x[i]);
  }
  session.endEpoch(block);
}

// ---- launcher -----------------------------------------------------------------------------------

constexpr int max_elements(int ranks) { return ranks * kMaxThreads * kMaxPacks; }

// `slots` are set when a device communicator is made with what is returned.
ncclDevResourceRequirements requirements(int ranks, ncclLLA2AHandle* slots) {
  ncclDevResourceRequirements piece;
  std::memset(&piece, 0, sizeof piece);
  nccl_check(static_cast<ncclResult_t>(ncclLLA2ACreateRequirement(
      static_cast<int>(kFewRows), ncclLLA2ACalcSlots(max_elements(ranks), 8), slots, &piece)));
  return piece;
}

class FusedWords final : public NcclFused {
 public:
  FusedWords(ncclComm_t comm, int ranks) : comm_(comm, ranks, requirements(ranks, &slots_)) {}

  bool is_usable() const { return comm_.reaches_all(); }

  int64_t max_rows() const override { return kFewRows; }

  bool takes(const AddRmsNormArgs& a) const override {
    int64_t hidden = a.out.dim(1);
    return a.out.dtype == DType::bf16 && !a.sum_squares && hidden % 4 == 0 &&
           hidden / 4 <= kMaxThreads * kMaxPacks && a.out.dim(0) <= max_rows();
  }

  void run(Stream stream, const AddRmsNormArgs& a) override {
    auto packs = static_cast<int>(a.out.dim(1) / 4);
    with_ranks(comm_.ranks(), [&]<int kRanks>() {
      if (packs <= kMaxThreads) return launch<kRanks, 1>(stream, a, packs);
      if (packs <= 2 * kMaxThreads) return launch<kRanks, 2>(stream, a, packs);
      launch<kRanks, kMaxPacks>(stream, a, packs);
    });
  }

 private:
  template <int kRanks, int kThreadPacks>
  void launch(Stream stream, const AddRmsNormArgs& a, int packs) {
    unsigned threads = ceil_div(packs, kThreadPacks * 32) * 32;
    auto rows = static_cast<unsigned>(a.out.dim(0));
    cuda::launch(stream, {dim3(rows), dim3(threads)}, all_reduce_add_rms_norm<kRanks, kThreadPacks>,
                 comm_.get(), slots_, static_cast<const Pack*>(a.delta.data),
                 static_cast<Pack*>(a.residual.data), static_cast<const Pack*>(a.weight.data),
                 static_cast<Pack*>(a.out.data), packs, max_elements(kRanks), a.eps);
  }

  ncclLLA2AHandle slots_{};
  DeviceComm comm_;
};

}  // namespace

std::unique_ptr<NcclFused> make_fused_words(void* nccl_comm, const MpiGroup& group) {
  auto fused = std::make_unique<FusedWords>(static_cast<ncclComm_t>(nccl_comm), group.size());
  return group.min(fused->is_usable()) > 0 ? std::move(fused) : nullptr;
}

}  // namespace ll
