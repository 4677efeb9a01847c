#pragma once

namespace ll {

// Names a home in the environment where there is none and the system knows no such user, as in
// containers and services whose users are but a number: PMIx, which mpirun and MPI load, would
// crash. For processes without threads, before they start mpirun or MPI.
void ensure_home();

}  // namespace ll
