#pragma once
// A device communicator of NCCL with one piece of memory that all ranks reach; for .cu files.
#include <nccl.h>
#include <nccl_device.h>

#include <cstring>

namespace ll {

class DeviceComm {
 public:
  DeviceComm(ncclComm_t comm, int ranks, ncclDevResourceRequirements piece)
      : comm_(comm), ranks_(ranks) {
    ncclDevCommRequirements wanted;
    std::memset(&wanted, 0, sizeof wanted);
    wanted.resourceRequirementsList = &piece;
    is_created_ = ncclDevCommCreate(comm, &wanted, &device_comm_) == ncclSuccess;
  }
  ~DeviceComm() {
    if (is_created_) ncclDevCommDestroy(comm_, &device_comm_);
  }
  DeviceComm(const DeviceComm&) = delete;
  DeviceComm& operator=(const DeviceComm&) = delete;

  int ranks() const { return ranks_; }
  // Whether all ranks load and store each other's memory.
  bool reaches_all() const { return is_created_ && device_comm_.lsaSize == ranks_; }
  const ncclDevComm& get() const { return device_comm_; }

 private:
  ncclComm_t comm_;
  int ranks_;
  ncclDevComm device_comm_{};
  bool is_created_ = false;
};

// Calls `f` with the number of ranks, two to eight, as a constant.
template <class F>
void with_ranks(int ranks, F&& f) {
  auto call = [&]<int kRanks>() {
    if (ranks == kRanks) f.template operator()<kRanks>();
  };
  [&]<int... kLess>(std::integer_sequence<int, kLess...>) {
    (call.template operator()<kLess + 2>(), ...);
  }
  (std::make_integer_sequence<int, 7>());
}

}  // namespace ll
