#include "parallel/nccl/nccl_communicator.h"

#include <nccl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "kernels/cuda/device/cuda_device.h"
#include "kernels/cuda/device/workspace.h"
#include "parallel/nccl/fused_choice.h"
#include "parallel/nccl/nccl_check.h"
#include "parallel/nccl/nccl_fused.h"
#include "parallel/nccl/nccl_rooms.h"

namespace ll {

VersionRow nccl_version() {
  auto name = [](int version) {
    return fmt::format("{}.{}.{}", version / 10000, version % 10000 / 100, version % 100);
  };
  int found = 0;
  bool is_known = ncclGetVersion(&found) == ncclSuccess;
  return {"NCCL", name(NCCL_VERSION_CODE), is_known ? name(found) : ""};
}

void nccl_check(ncclResult_t result, std::source_location where) {
  if (result == ncclSuccess) return;
  fail("NCCL: {}; {} ({}:{})", ncclGetErrorString(result), ncclGetLastError(nullptr),
       where.file_name(), where.line());
}

namespace {

// NVLink multicast off unless the user asks for it: the fused kernel needs windows without it.
// NCCL refuses a GPU that is there twice, unless on different hosts: ranks that share GPUs pass for
// as many hosts as there are rounds.
void set_environment() {
  setenv("NCCL_NVLS_ENABLE", "0", /*overwrite=*/0);
  if (cuda::gpu_round() == 0) return;
  char host[256] = {};
  gethostname(host, sizeof host - 1);
  setenv("NCCL_HOSTID", fmt::format("{}-{}", host, cuda::gpu_round()).c_str(), /*overwrite=*/0);
}

ncclComm_t connect(const Backend& backend, const MpiGroup& group) {
  set_environment();
  ncclUniqueId id;
  if (group.rank() == 0) nccl_check(ncclGetUniqueId(&id));
  group.broadcast(&id, sizeof id, 0);
  ncclComm_t comm;
  ncclResult_t result = ncclCommInitRank(&comm, group.size(), id, group.rank());
  if (result != ncclSuccess && backend.is_slice)
    fail(
        "NCCL: {}; it has not connected this rank's {}: take whole GPUs, or replicas of a slice "
        "each (grid.dp)",
        ncclGetErrorString(result), backend.device_name);
  nccl_check(result);
  return comm;
}

ncclDataType_t type_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return ncclFloat32;
    case DType::bf16:
      return ncclBfloat16;
    case DType::i64:
      return ncclInt64;
    default:
      ensure(false, "collective on this dtype");
      return ncclInt8;
  }
}

cudaStream_t of(Stream s) { return cuda::cuda_stream(s); }

class NcclCommunicator final : public Communicator {
 public:
  NcclCommunicator(const Backend& backend, const MpiGroup& group)
      : Communicator(backend.ops, group.rank(), group.size()),
        group_(group),
        comm_(connect(backend, group)),
        fused_(NcclFused::create_all(comm_, group)),
        choices_(choose_fused(backend, group, fused_, [&](Stream stream, const auto& args) {
          Communicator::do_all_reduce_add_rms_norm(stream, args);
        })) {}
  ~NcclCommunicator() override {
    fused_.clear();  // their device communicators go before the host's, as those of rooms
    rooms_.clear();
    ncclCommDestroy(comm_);
  }

 private:
  void do_all_reduce_sum(Stream stream, TensorView x) override { reduce(stream, x, ncclSum); }
  void do_all_reduce_max(Stream stream, TensorView x) override { reduce(stream, x, ncclMax); }

  void reduce(Stream stream, TensorView x, ncclRedOp_t op) {
    nccl_check(ncclAllReduce(/*sendbuff=*/x.data, /*recvbuff=*/x.data,
                             /*count=*/static_cast<size_t>(x.numel()), type_of(x.dtype), op, comm_,
                             of(stream)));
  }

  void do_all_gather(Stream stream, const void* send, void* receive, size_t bytes) override {
    nccl_check(ncclAllGather(/*sendbuff=*/send, /*recvbuff=*/receive, /*sendcount=*/bytes, ncclInt8,
                             comm_, of(stream)));
  }

  void do_all_reduce_sums(Stream stream, TensorView x, TensorView y) override {
    nccl_check(ncclGroupStart());
    reduce(stream, x, ncclSum);
    reduce(stream, y, ncclSum);
    nccl_check(ncclGroupEnd());
  }

  void do_all_to_all(Stream stream, const void* send, void* receive, size_t bytes) override {
    nccl_check(ncclGroupStart());
    for (int peer = 0; peer < size(); ++peer) {
      auto at = static_cast<size_t>(peer) * bytes;
      nccl_check(
          ncclSend(static_cast<const char*>(send) + at, bytes, ncclInt8, peer, comm_, of(stream)));
      nccl_check(
          ncclRecv(static_cast<char*>(receive) + at, bytes, ncclInt8, peer, comm_, of(stream)));
    }
    nccl_check(ncclGroupEnd());
  }

  void do_all_reduce_add_rms_norm(Stream stream, const AddRmsNormArgs& args) override {
    if (NcclFused* fused = fused_for(args))
      fused->run(stream, args);
    else
      Communicator::do_all_reduce_add_rms_norm(stream, args);
  }

  std::vector<void*> do_make_rooms(size_t bytes) override {
    auto rooms = has_device_api(group_) ? NcclRooms::make(comm_, group_, bytes) : nullptr;
    return rooms ? rooms_.emplace_back(std::move(rooms))->rooms() : std::vector<void*>{};
  }

  // Null: none is worth its use.
  NcclFused* fused_for(const AddRmsNormArgs& args) const {
    auto choice = std::find_if(choices_.begin(), choices_.end(),
                               [&](const FusedChoice& c) { return args.out.dim(0) <= c.rows; });
    if (choice == choices_.end() || choice->kernel == FusedChoice::kPlain) return nullptr;
    NcclFused* fused = fused_[static_cast<size_t>(choice->kernel)].get();
    return fused->takes(args) ? fused : nullptr;
  }

  MpiGroup group_;
  ncclComm_t comm_;
  std::vector<std::unique_ptr<NcclFused>> fused_;
  std::vector<std::unique_ptr<NcclRooms>> rooms_;
  std::vector<FusedChoice> choices_;
};

}  // namespace

std::unique_ptr<Communicator> make_nccl_communicator(const Backend& backend,
                                                     const MpiGroup& group) {
  return std::make_unique<NcclCommunicator>(backend, group);
}

}  // namespace ll
