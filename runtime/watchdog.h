#pragma once
// Ends the process when a step takes too long: a peer that died or stopped would otherwise leave
// the others waiting in a collective for ever. mpirun and srun then end the job.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace ll {

class Watchdog {
 public:
  // `who` names the process in the message: "rank 3 on node7". A limit of zero seconds switches it
  // off.
  Watchdog(std::chrono::seconds limit, std::string who);
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
  [[noreturn]] void expire(int64_t what) const;

  std::chrono::seconds limit_;
  std::string who_;
  std::mutex mutex_;
  std::condition_variable stopping_;
  bool stop_ = false;
  std::chrono::steady_clock::time_point since_;
  int64_t what_ = kPaused;
  std::thread thread_;
};

}  // namespace ll
