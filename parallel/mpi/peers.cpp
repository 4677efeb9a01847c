#include "parallel/mpi/peers.h"

#include <algorithm>

namespace ll {

std::string Peers::find_fault(std::chrono::milliseconds silence) const {
  std::string fault = local_.find_fault();
  return fault.empty() && links_ ? links_->find_fault(silence) : fault;
}

// Other hosts hear of each other by rank 0 alone. If that is the one that was lost, mpirun ends the
// ranks of all hosts in a second.
std::chrono::milliseconds Peers::turn() const {
  std::chrono::milliseconds turn(200);
  if (!is_linked_to_first()) return turn * std::min(local_.num_below(), 5);
  return links_->is_first_away() ? turn : turn * 5;
}

// mpirun by itself takes up to four.
std::chrono::milliseconds Peers::launchers_time() const {
  return std::chrono::seconds(links_ && links_->has_silent() ? 2 : 6);
}

void Peers::send_explained() const {
  local_.send_explained();
  if (links_) links_->send_explained();
}

bool Peers::is_explained() const {
  return LocalPeers::is_explained() || (links_ && links_->is_explained());
}

void Peers::send_asked() const {
  if (links_) links_->send_asked();
}

void Peers::signal_first(int signal) const {
  local_.signal_first(signal);
  if (is_linked_to_first()) links_->send_signal(signal);
}

}  // namespace ll
