#pragma once
// How a rank ends that cannot go on: of all ranks of a host one says why, and all are gone.
#include <chrono>
#include <functional>
#include <mutex>
#include <string>

#include "parallel/mpi/peers.h"

namespace ll {

class LastWords {
 public:
  // `who` names the process: "rank 3 on node7".
  LastWords(std::string who, Peers peers) : who_(std::move(who)), peers_(std::move(peers)) {}

  // Another name for the process; by any thread.
  void rename(std::string who);
  std::string who() const;

  // Whoever must be told what is said before the process ends, on whatever thread: one at a time;
  // none: nobody.
  static void on_end(std::function<void(const std::string& why)> tell);

  const Peers& peers() const { return peers_; }
  // A rank that died, or one of this host that is stopped, as a phrase; empty: none.
  std::string find_fault() const { return peers_.find_fault(); }

  // Several threads may find a reason to end the process: the first goes on, the others wait for
  // its end.
  static void take_the_floor();

  // Nothing happened for `limit`; `where` says what the process was doing: "in step 17".
  // In the midst of a collective it waits for another rank, which may be the one to speak.
  [[noreturn]] void end_silent(std::chrono::seconds limit, const std::string& where) const;
  // A rank of another host died or is silent, as `fault` says.
  [[noreturn]] void end_lost(const std::string& fault, const std::string& where) const;
  // Asked to end by a signal, as mpirun and srun do when another rank died or the user cancelled
  // the job.
  [[noreturn]] void end_asked(const std::string& where) const;

 private:
  // Leaves quietly if a peer tells the user first.
  void let_peers_speak(std::chrono::milliseconds patience) const;
  [[noreturn]] void leave() const;
  void say(const std::string& text) const;

  mutable std::mutex mutex_;
  std::string who_;
  Peers peers_;
};

}  // namespace ll
