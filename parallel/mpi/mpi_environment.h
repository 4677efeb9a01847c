#pragma once
// MPI for the life of the program: MPI_Init to MPI_Finalize. All communicators must be gone before
// it.
#include <string>

#include "base/check.h"
#include "base/version_row.h"
#include "parallel/mpi/local_peers.h"
#include "parallel/mpi/mpi_group.h"

namespace ll {

class MpiEnvironment {
 public:
  MpiEnvironment(int* argc, char*** argv);
  ~MpiEnvironment();
  MpiEnvironment(const MpiEnvironment&) = delete;
  MpiEnvironment& operator=(const MpiEnvironment&) = delete;

  const MpiGroup& world() const { return world_; }
  int local_rank() const { return local_rank_; }  // among the ranks of this host
  int local_size() const { return local_size_; }
  const LocalPeers& local_peers() const { return local_peers_; }
  static std::string host_name();

  // What can be known before MPI starts: its library, and the rank that mpirun or srun gave this
  // process, 0 without them.
  static VersionRow version();
  static int launch_rank();

  // Ends the job on all ranks with this exit code; does not return.
  [[noreturn]] static void abort(ExitCode code);

 private:
  MpiGroup world_;
  int local_rank_ = 0, local_size_ = 1;
  LocalPeers local_peers_;
};

}  // namespace ll
