#pragma once
// Memory that all ranks of a communicator store to and load from, by NCCL's device API.
#include <cstddef>
#include <memory>
#include <vector>

#include "parallel/mpi/mpi_group.h"

namespace ll {

// Whether NCCL's device API can be used by a group: of at most eight ranks, where the NCCL at run
// time is the one that the program was built with, as the API's structures are part of the program.
// Collective over the group.
bool has_device_api(const MpiGroup& group);

class NcclRooms {
 public:
  virtual ~NcclRooms() = default;
  // A room of `bytes` bytes on each rank, zero; collective over the group of `nccl_comm` (an
  // ncclComm_t), before which this goes. Null where the GPUs do not reach each other's memory.
  static std::unique_ptr<NcclRooms> make(void* nccl_comm, const MpiGroup& group, size_t bytes);

  // Each rank's, as this rank's GPU sees it.
  virtual const std::vector<void*>& rooms() const = 0;
};

}  // namespace ll
