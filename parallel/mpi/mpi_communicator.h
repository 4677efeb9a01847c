#pragma once
#include <memory>

#include "kernels/backend.h"
#include "parallel/communicator.h"
#include "parallel/mpi/mpi_group.h"

namespace ll {

// Collectives on host memory. Complete when they return.
std::unique_ptr<Communicator> make_mpi_communicator(const Backend& backend, const MpiGroup& group);

}  // namespace ll
