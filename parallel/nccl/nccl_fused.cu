#include "parallel/nccl/nccl_fused.h"

#include <cuda_bf16.h>
#include <nccl_device.h>

#include <cstring>

#include "base/numbers.h"
#include "kernels/cuda/device/launch.cuh"
#include "parallel/nccl/nccl_check.h"

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

class Fused final : public NcclFused {
 public:
  Fused(ncclComm_t comm, int ranks, int64_t max_rows)
      : comm_(comm), ranks_(ranks), max_rows_(max_rows) {
    ncclDevResourceRequirements buffer;
    std::memset(&buffer, 0, sizeof buffer);
    nccl_check(static_cast<ncclResult_t>(ncclLLA2ACreateRequirement(
        static_cast<int>(max_rows), ncclLLA2ACalcSlots(max_elements(), 8), &slots_, &buffer)));
    ncclDevCommRequirements wanted;
    std::memset(&wanted, 0, sizeof wanted);
    wanted.resourceRequirementsList = &buffer;
    created_ = ncclDevCommCreate(comm, &wanted, &device_comm_) == ncclSuccess;
  }
  ~Fused() override {
    if (created_) ncclDevCommDestroy(comm_, &device_comm_);
  }

  bool is_usable() const { return created_ && device_comm_.lsaSize == ranks_; }

  bool takes(const AddRmsNormArgs& a) const override {
    int64_t hidden = a.out.dim(1);
    return a.out.dtype == DType::bf16 && !a.sum_squares && hidden % 4 == 0 &&
           hidden / 4 <= kMaxThreads * kMaxPacks && a.out.dim(0) <= max_rows_;
  }

  void run(Stream stream, const AddRmsNormArgs& a) override {
    switch (ranks_) {
      case 2:
        return run_on<2>(stream, a);
      case 3:
        return run_on<3>(stream, a);
      case 4:
        return run_on<4>(stream, a);
      case 5:
        return run_on<5>(stream, a);
      case 6:
        return run_on<6>(stream, a);
      case 7:
        return run_on<7>(stream, a);
      case 8:
        return run_on<8>(stream, a);
      default:
        cuda::require(false, "fused all-reduce of more than eight ranks");
    }
  }

 private:
  int max_elements() const { return ranks_ * kMaxThreads * kMaxPacks; }

  template <int kRanks>
  void run_on(Stream stream, const AddRmsNormArgs& a) {
    auto packs = static_cast<int>(a.out.dim(1) / 4);
    if (packs <= kMaxThreads) return launch<kRanks, 1>(stream, a, packs);
    if (packs <= 2 * kMaxThreads) return launch<kRanks, 2>(stream, a, packs);
    launch<kRanks, kMaxPacks>(stream, a, packs);
  }

  template <int kRanks, int kThreadPacks>
  void launch(Stream stream, const AddRmsNormArgs& a, int packs) {
    unsigned threads = ceil_div(packs, kThreadPacks * 32) * 32;
    auto rows = static_cast<unsigned>(a.out.dim(0));
    cuda::launch(stream, {dim3(rows), dim3(threads)}, all_reduce_add_rms_norm<kRanks, kThreadPacks>,
                 device_comm_, slots_, static_cast<const Pack*>(a.delta.data),
                 static_cast<Pack*>(a.residual.data), static_cast<const Pack*>(a.weight.data),
                 static_cast<Pack*>(a.out.data), packs, max_elements(), a.eps);
  }

  ncclComm_t comm_;
  int ranks_;
  int64_t max_rows_;
  ncclLLA2AHandle slots_{};
  ncclDevComm device_comm_{};
  bool created_ = false;
};

}  // namespace

std::unique_ptr<NcclFused> NcclFused::create(void* nccl_comm, const MpiGroup& group,
                                             int64_t max_rows) {
  // The device API's structures are part of the program; another version of the library may have
  // others.
  int version = 0;
  nccl_check(ncclGetVersion(&version));
  if (group.size() > 8 || group.min(version == NCCL_VERSION_CODE) == 0) return nullptr;
  auto fused = std::make_unique<Fused>(static_cast<ncclComm_t>(nccl_comm), group.size(), max_rows);
  return group.min(fused->is_usable()) > 0 ? std::move(fused) : nullptr;
}

}  // namespace ll
