#pragma once
// How a rank ends that cannot go on: of all ranks of a host one says why, and all are gone.
#include <chrono>
#include <functional>
#include <string>

#include "parallel/mpi/local_peers.h"

namespace ll {

class LastWords {
 public:
  // `who` names the process: "rank 3 on node7".
  LastWords(std::string who, LocalPeers peers) : who_(std::move(who)), peers_(std::move(peers)) {}

  // Whoever must be told what is said before the process ends, on whatever thread: one at a time;
  // none: nobody.
  static void on_end(std::function<void(const std::string& why)> tell);

  // A rank of this host that died or is stopped, as a phrase; empty: none.
  std::string find_fault() const { return peers_.find_fault(); }

  // Nothing happened for `limit`; `where` says what the process was doing: "in step 17".
  [[noreturn]] void end_silent(std::chrono::seconds limit, const std::string& where) const;
  // Asked to end by a signal, as mpirun and srun do when another rank died or the user cancelled
  // the job.
  [[noreturn]] void end_asked(const std::string& where) const;

 private:
  // Leaves quietly if a peer tells the user first.
  static void let_peers_speak(std::chrono::milliseconds patience);
  void say(const std::string& text) const;

  std::string who_;
  LocalPeers peers_;
};

}  // namespace ll
