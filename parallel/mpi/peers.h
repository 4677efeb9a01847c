#pragma once
// The other ranks, as far as they can be known without MPI: those of this host as processes, those
// of others by their links. When a job ends badly: who is at fault, and which process tells the
// user.
#include <memory>
#include <string>

#include "parallel/mpi/host_links.h"
#include "parallel/mpi/local_peers.h"

namespace ll {

class Peers {
 public:
  // None.
  Peers() = default;
  explicit Peers(LocalPeers local) : local_(std::move(local)) {}

  void add(std::shared_ptr<HostLinks> links) { links_ = std::move(links); }

  int rank() const { return local_.rank(); }
  // Null where this rank is linked to none.
  HostLinks* links() const { return links_.get(); }

  // As LocalPeers', and as HostLinks': ranks of other hosts that died, and those silent for
  // `silence`.
  std::string find_fault(std::chrono::milliseconds silence = kLong) const;
  // How long others that notice the same may tell the user before this rank does.
  std::chrono::milliseconds turn() const;
  // Whether there are such; whether they are able to.
  bool has_before() const { return local_.num_below() > 0 || is_linked_to_first(); }
  bool has_running_before() const { return local_.num_running_below() > 0 || is_linked_to_first(); }
  // How long the launcher may take to end the job when this rank has left; less where it may wait
  // for a host that does not answer.
  std::chrono::milliseconds launchers_time() const;
  // Tells all that the user knows why the job ends; whether one told this process.
  void send_explained() const;
  bool is_explained() const;
  // Tells all that this rank ends because it was asked to.
  void send_asked() const;
  // To rank 0 of the job, if that is another rank that can be reached.
  void signal_first(int signal) const;

 private:
  static constexpr std::chrono::milliseconds kLong = std::chrono::hours(10'000);
  // Rank 0, on another host.
  bool is_linked_to_first() const { return links_ && local_.rank() > 0; }

  LocalPeers local_;
  std::shared_ptr<HostLinks> links_;
};

}  // namespace ll
