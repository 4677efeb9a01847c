#pragma once
#include <memory>

#include "base/version_row.h"
#include "kernels/backend.h"
#include "parallel/communicator.h"
#include "parallel/mpi/mpi_group.h"

namespace ll {

// Collectives on device memory, ordered by the stream. Collective over the group. A build without
// CUDA links no_nccl.cpp, which throws.
std::unique_ptr<Communicator> make_nccl_communicator(const Backend& backend, const MpiGroup& group);

VersionRow nccl_version();

}  // namespace ll
