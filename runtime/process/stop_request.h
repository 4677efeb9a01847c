#pragma once
// A job that is asked to stop, and may say how.
#include <atomic>
#include <optional>

#include "parallel/mpi/peers.h"
#include "runtime/process/signals.h"

namespace ll {

// While this lives, SIGUSR1 asks the job to stop instead of ending the process, and so does SIGTERM
// from begin() on. Not so a SIGTERM of mpirun, which ends the process a second later anyway, nor
// one that comes when a peer has died: those are left to who listened before.
class StopRequest {
 public:
  // Rank 0 remembers; other ranks tell rank 0 if it is on their host. (mpirun and srun hand SIGUSR1
  // to the ranks of all hosts.)
  explicit StopRequest(const Peers& peers);
  // Steps begin. Before that SIGTERM ends what is being prepared.
  void begin();

  // The signal that asked, on rank 0; 0: none has.
  int signal() const { return signal_; }

 private:
  bool ask(int signal);

  const Peers& peers_;
  std::atomic<int> signal_ = 0;
  OnSignal on_user_;
  std::optional<OnSignal> on_terminate_;
};

}  // namespace ll
