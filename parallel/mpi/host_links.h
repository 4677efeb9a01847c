#pragma once
// Ranks on other hosts: whether they live and go on, why they end, which signals they were sent.
// Each has a TCP connection to rank 0, which a thread of its own looks after: MPI belongs to the
// main thread, which may be stuck in it.
//
// A few times in `patience`, each end says what it is doing. A connection that closes without
// farewell is a rank that died; one that is silent is a rank that was stopped, or a host or link
// that is down.
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "parallel/mpi/mpi_group.h"

namespace ll {

class HostLinks {
 public:
  struct Place {
    std::string who, where;  // "rank 3 on node7 (CPU)", "in step 17"
  };
  // What this rank tells the others, at once and from then on, and what it does when one is lost;
  // called by watch() and by a thread of the links.
  struct Watcher {
    std::function<Place()> place;
    std::function<void(const std::string& fault)> lost;
  };

  // Between rank 0 and the ranks of other hosts; null where this rank has none. A patience of zero:
  // silence is no fault. A rank that rank 0 cannot be reached from says so, and does without.
  // Collective over `world`; `host` are its members on this host.
  static std::shared_ptr<HostLinks> connect(const MpiGroup& world, const MpiGroup& host,
                                            std::chrono::seconds patience);
  // Says farewell.
  ~HostLinks();
  HostLinks(const HostLinks&) = delete;
  HostLinks& operator=(const HostLinks&) = delete;

  // Whether this is the first of the ranks on other hosts than rank 0's.
  bool is_first_away() const;

  // From here on; an empty one: nobody watches. Returns when the one before is no longer called.
  void watch(Watcher watcher);
  // To all, at once, where this rank is now.
  void tell();

  // The rank that died, or the one that is silent for longest, and for `silence` at least: "rank 3
  // on node7 (CPU) died in step 17". Empty: none.
  std::string find_fault(std::chrono::milliseconds silence) const;

  // Whether one has missed several of its words.
  bool has_silent() const;

  // To all: the user knows why the job ends.
  void send_explained();
  bool is_explained() const;
  // To all: this rank ends because it was asked to, and is no fault.
  void send_asked();
  // To rank 0, which raises it.
  void send_signal(int signal);

 private:
  struct State;
  explicit HostLinks(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace ll
