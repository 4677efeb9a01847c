#pragma once
// All-reduce + residual + RMSNorm in one kernel, over NCCL's device API, between GPUs that can load
// and store each other's memory. Sums run in rank order, so that all ranks hold the same bits. A
// kernel sends before it waits; that a peer never sends is seen by the watchdog of the step.
#include <memory>
#include <vector>

#include "kernels/ops.h"
#include "parallel/mpi/mpi_group.h"

namespace ll {

class NcclFused {
 public:
  virtual ~NcclFused() = default;

  // The kernels that work here, collective over the group of `nccl_comm` (an ncclComm_t): none
  // where the GPUs do not reach each other's memory, for more than eight ranks, and when the NCCL
  // at run time is not the one the program was built with.
  static std::vector<std::unique_ptr<NcclFused>> create_all(void* nccl_comm, const MpiGroup& group);

  virtual int64_t max_rows() const = 0;
  // Whether the kernel can do it; the same on all ranks.
  virtual bool takes(const AddRmsNormArgs& args) const = 0;
  virtual void run(Stream stream, const AddRmsNormArgs& args) = 0;
};

// Every rank writes its rows to all peers' memory, each 8-byte word beside a flag (NCCL's LL
// protocol): for few rows. Null where it cannot work.
std::unique_ptr<NcclFused> make_fused_words(void* nccl_comm, const MpiGroup& group);
// Every rank writes its rows to all peers' memory in words of 16 bytes, and one flag behind those
// of a block: for up to hundreds of rows. Null where it cannot work.
std::unique_ptr<NcclFused> make_fused_push(void* nccl_comm, const MpiGroup& group);

}  // namespace ll
