#include "parallel/nccl/nccl_rooms.h"

#include "kernels/cuda/device/launch.cuh"
#include "parallel/nccl/device_comm.cuh"
#include "parallel/nccl/nccl_check.h"

namespace ll {
namespace {

__global__ void find_rooms(ncclDevComm comm, ncclDevResourceHandle handle, void** found) {
  if (threadIdx.x < comm.lsaSize)
    found[threadIdx.x] = ncclGetResourceBufferLsaPointer(comm, handle, threadIdx.x);
}

ncclDevResourceRequirements requirements(size_t bytes, ncclDevResourceHandle* handle) {
  ncclDevResourceRequirements piece;
  std::memset(&piece, 0, sizeof piece);
  piece.bufferSize = bytes;
  piece.bufferAlign = 128;
  piece.outBufferHandle = handle;
  return piece;
}

class DeviceRooms final : public NcclRooms {
 public:
  DeviceRooms(ncclComm_t comm, const MpiGroup& group, size_t bytes)
      : comm_(comm, group.size(), requirements(bytes, &handle_)) {
    if (comm_.reaches_all()) open(group.rank(), bytes);
  }

  const std::vector<void*>& rooms() const override { return rooms_; }

 private:
  void open(int rank, size_t bytes) {
    size_t count = static_cast<size_t>(comm_.ranks());
    rooms_.resize(count);
    void** found;
    cuda::check(cudaMalloc(&found, count * sizeof *found));
    find_rooms<<<1, 32>>>(comm_.get(), handle_, found);
    cuda::check(cudaMemcpy(rooms_.data(), found, count * sizeof *found, cudaMemcpyDeviceToHost));
    cuda::check(cudaFree(found));
    cuda::check(cudaMemset(rooms_[static_cast<size_t>(rank)], 0, bytes));
    cuda::check(cudaDeviceSynchronize());
  }

  ncclDevResourceHandle handle_{};
  DeviceComm comm_;
  std::vector<void*> rooms_;
};

}  // namespace

bool has_device_api(const MpiGroup& group) {
  int version = 0;
  nccl_check(ncclGetVersion(&version));
  return group.size() <= 8 && group.min(version == NCCL_VERSION_CODE) > 0;
}

std::unique_ptr<NcclRooms> NcclRooms::make(void* nccl_comm, const MpiGroup& group, size_t bytes) {
  auto rooms = std::make_unique<DeviceRooms>(static_cast<ncclComm_t>(nccl_comm), group, bytes);
  // After this nobody writes into a room that is still to be cleared.
  return group.min(!rooms->rooms().empty()) > 0 ? std::move(rooms) : nullptr;
}

}  // namespace ll
