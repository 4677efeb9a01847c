#pragma once

namespace ll {

// Whether this process is a child of Open MPI's mpirun or of its daemon on another host.
bool is_started_by_mpirun();

}  // namespace ll
