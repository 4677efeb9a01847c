#pragma once
// Ends the process when it makes no progress: a peer that died or stopped would otherwise leave the
// others waiting in a collective for ever. mpirun and srun then end the job.
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>

#include "base/heartbeat.h"
#include "runtime/process/last_words.h"

namespace ll {

class Watchdog {
 public:
  // `who` names the process in messages: "rank 3 on node7". A limit of zero seconds: anything may
  // take any time. It begins with await_others().
  Watchdog(std::chrono::seconds limit, std::string who, Peers peers = {});
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  // What the process does from here on. Each is progress, and all but pause() must be followed by
  // another of them, or by a beat, at least every `limit`. `name` goes on after "no progress for
  // 300 s": "while loading weights".
  void begin_step(int32_t id) { begin({Kind::kStep, id, {}}); }
  void begin_phase(std::string name) { begin({Kind::kPhase, 0, std::move(name)}); }
  // Nothing to do until rank 0's next plan, which may be the order to rest again.
  void rest() { begin_phase("while waiting for rank 0's next plan"); }
  // The other ranks are behind, and may be for as long as all those of this host live and run: each
  // of them has a watchdog for its own work.
  void await_others(std::string name) { begin({Kind::kAwaiting, 0, std::move(name)}); }
  // Not watched from here on.
  void pause() { begin({Kind::kPaused, 0, "while preparing"}); }

  // Progress within what was begun. May be called by any thread.
  void beat();

  // The process under a name that says more: "rank 3 on node7 (NVIDIA H200)".
  void rename(std::string who);

  // "in step 17", "while loading weights, in all_reduce".
  std::string where();
  const LastWords& words() const { return words_; }

 private:
  enum class Kind { kPaused, kPhase, kStep, kAwaiting };
  struct Doing {
    Kind kind;
    int32_t step = 0;
    std::string name;
  };
  void begin(Doing what);
  void watch();
  // Whether silence is a fault now.
  bool is_stuck();

  std::chrono::seconds limit_;
  std::chrono::milliseconds period_;  // between two looks
  LastWords words_;
  std::mutex mutex_;
  std::condition_variable woken_;
  Heartbeat heartbeat_;
  Doing doing_ = {Kind::kAwaiting, 0, "while starting"};
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace ll
