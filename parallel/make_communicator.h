#pragma once
#include <memory>
#include <vector>

#include "base/version_row.h"
#include "kernels/backend.h"
#include "parallel/communicator.h"
#include "parallel/mpi/mpi_group.h"

namespace ll {

// The kind that fits the backend's memory: MPI for the CPU, NCCL for CUDA; a group of one needs
// neither. Collective over the group.
std::unique_ptr<Communicator> make_communicator(const Backend& backend, const MpiGroup& group);

// The versions of the libraries they work through, MPI and NCCL. Needs no MPI that has started.
std::vector<VersionRow> communicator_versions();

}  // namespace ll
