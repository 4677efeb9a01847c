#pragma once
// Ends the process when a step takes too long: a peer that died or stopped would otherwise leave
// the others waiting in a collective for ever. mpirun and srun then end the job. Where they end it
// on their own, because a rank died, it tells the user which and in which step.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>

#include "parallel/mpi/local_peers.h"

namespace ll {

class Watchdog {
 public:
  // `who` names the process in messages: "rank 3 on node7". A limit of zero seconds: steps may take
  // any time. One at a time in a process: it handles SIGTERM.
  Watchdog(std::chrono::seconds limit, std::string who, LocalPeers peers = {});
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  // Progress: a step began, or there is nothing to do for now. Ranks of a group call one or the
  // other at least every `limit`.
  void begin_step(int32_t id) { note(id); }
  void rest() { note(kIdle); }
  // Not watched from here to the next begin_step or rest (loading, for instance).
  void pause() { note(kPaused); }

 private:
  static constexpr int64_t kIdle = -1, kPaused = -2;
  void note(int64_t what);
  void watch();
  std::string where();
  [[noreturn]] void expire();
  [[noreturn]] void terminate();
  // Leaves quietly if a peer tells the user first.
  static void let_peers_speak(std::chrono::milliseconds patience);
  void say(const std::string& text) const;

  std::chrono::seconds limit_;
  std::string who_;
  LocalPeers peers_;
  std::mutex mutex_;
  std::chrono::steady_clock::time_point since_;
  int64_t what_ = kPaused;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace ll
