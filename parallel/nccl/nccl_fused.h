#pragma once
// One-shot all-reduce + residual + RMSNorm in one kernel, over NCCL's device API: every rank writes
// its rows to all peers' memory, each 8-byte word beside a flag (NCCL's LL protocol), and adds what
// arrives in rank order. For small messages between GPUs that can load and store each other's
// memory.
#include <memory>

#include "kernels/ops.h"
#include "parallel/mpi/mpi_group.h"

namespace ll {

class NcclFused {
 public:
  // Collective over the group of `nccl_comm` (an ncclComm_t). Null where the GPUs do not reach each
  // other's memory, for more than eight ranks, and when the NCCL at run time is not the one the
  // program was built with.
  static std::unique_ptr<NcclFused> create(void* nccl_comm, const MpiGroup& group,
                                           int64_t max_rows);
  virtual ~NcclFused() = default;

  // Whether the kernel can do it; the same on all ranks.
  virtual bool takes(const AddRmsNormArgs& args) const = 0;
  virtual void run(Stream stream, const AddRmsNormArgs& args) = 0;
};

}  // namespace ll
