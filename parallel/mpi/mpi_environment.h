#pragma once
// MPI for the life of the program: MPI_Init to MPI_Finalize. All communicators must be gone before
// it.
#include <chrono>
#include <string>

#include "base/check.h"
#include "base/version_row.h"
#include "parallel/mpi/mpi_group.h"
#include "parallel/mpi/peers.h"

namespace ll {

class MpiEnvironment {
 public:
  MpiEnvironment(int* argc, char*** argv);
  ~MpiEnvironment();
  MpiEnvironment(const MpiEnvironment&) = delete;
  MpiEnvironment& operator=(const MpiEnvironment&) = delete;

  const MpiGroup& world() const { return world_; }
  int local_rank() const { return host_.rank(); }  // among the ranks of this host
  int local_size() const { return host_.size(); }
  const MpiGroup& same_host() const { return host_; }
  // Those of other hosts are among them from link_hosts() on.
  const Peers& peers() const { return peers_; }
  // Ranks of other hosts that are silent for longer than `patience` (0: any time is fine) are
  // faults. Collective over the world.
  void link_hosts(std::chrono::seconds patience);
  static std::string host_name();

  // What can be known before MPI starts: its library, and the rank that mpirun or srun gave this
  // process, 0 without them.
  static VersionRow version();
  static int launch_rank();

  // Ends the job on all ranks with this exit code; does not return.
  [[noreturn]] static void abort(ExitCode code);

 private:
  MpiGroup world_, host_;
  Peers peers_;
};

}  // namespace ll
