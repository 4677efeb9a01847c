#pragma once
// MPI as tests under mpirun see it.
#include "parallel/mpi/mpi_environment.h"

namespace ll::test {

inline const MpiEnvironment* g_mpi = nullptr;  // set by mpi_main.cpp
inline const MpiEnvironment& mpi() { return *g_mpi; }
inline const MpiGroup& world() { return mpi().world(); }

}  // namespace ll::test
