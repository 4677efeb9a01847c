#pragma once
// What MpiGroup hides, and MPI's error codes as exceptions; only for parallel/mpi_*.cpp.
#include <mpi.h>

#include <source_location>

#include "parallel/mpi/mpi_group.h"

namespace ll {

void mpi_check(int code, std::source_location where = std::source_location::current());

struct MpiGroup::Handle {
  explicit Handle(MPI_Comm c, bool owned) : comm(c), owned(owned) {}
  ~Handle();
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  MPI_Comm comm;
  bool owned;
};

}  // namespace ll
