#pragma once
// The other ranks of this host as processes: when a job ends badly, who is at fault, and which
// process tells the user.
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "parallel/mpi/mpi_group.h"

namespace ll {

class LocalPeers {
 public:
  // None.
  LocalPeers() = default;
  // All members of `host` call it together; `rank` is the caller's in the job.
  LocalPeers(const MpiGroup& host, int rank);

  int rank() const { return rank_; }
  // "rank 3 (process 4711) died" or "... is stopped" for the first such peer; else empty.
  std::string find_fault() const;
  // How many peers have a lower rank; how many of those are able to speak.
  int num_below() const;
  int num_running_below() const;
  // Tells the peers that the user knows why the job ends; whether a peer told this process.
  void send_explained() const;
  // Sends a signal to rank 0 of the job, if that is another rank of this host.
  void signal_first(int signal) const;
  static bool is_explained();

 private:
  struct Peer {
    int rank = 0;
    pid_t pid = 0;
    int64_t start_time = 0;  // tells the peer from a later process of the same id
  };
  enum class State { kRunning, kStopped, kGone };
  static State state_of(const Peer& peer);

  int rank_ = 0;
  std::vector<Peer> peers_;
};

}  // namespace ll
