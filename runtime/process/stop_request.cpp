#include "runtime/process/stop_request.h"

#include <unistd.h>

#include <csignal>

#include "parallel/mpi/starter.h"

namespace ll {

StopRequest::StopRequest(const Peers& peers)
    : peers_(peers), on_user_(SIGUSR1, [this] { return ask(SIGUSR1); }) {}

void StopRequest::begin() {
  on_terminate_.emplace(SIGTERM, [this] { return ask(SIGTERM); });
}

bool StopRequest::ask(int signal) {
  bool is_of_mpirun = OnSignal::sender_of(signal) == ::getppid() && is_started_by_mpirun();
  if (signal == SIGTERM && (is_of_mpirun || !peers_.find_fault().empty())) return false;
  if (peers_.rank() > 0) {
    peers_.signal_first(signal);
  } else {
    int none = 0;
    signal_.compare_exchange_strong(none, signal);
  }
  return true;
}

}  // namespace ll
