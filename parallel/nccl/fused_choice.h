#pragma once
// Whether the fused all-reduce is worth its use: it is compared with NCCL's own, then timed beside
// it. That takes a while, so a process asks once for groups of as many ranks.
#include <functional>

#include "kernels/backend.h"
#include "kernels/few_rows.h"
#include "parallel/mpi/mpi_group.h"
#include "parallel/nccl/nccl_fused.h"

namespace ll {

// Up to how many rows, kFewRows at most, the fused kernel is to be used; 0: never. The same on all
// ranks; collective over the group of `fused`. `plain` does the same by NCCL and the backend's op.
int64_t fused_rows(const Backend& backend, const MpiGroup& group, NcclFused& fused,
                   const std::function<void(Stream, const AddRmsNormArgs&)>& plain);

}  // namespace ll
