#pragma once
// How long each replica has been silent, and whether it owes a sign of life: one that holds work
// and says nothing has stopped.
#include <chrono>
#include <vector>

namespace ll {

class LifeSigns {
 public:
  using Clock = std::chrono::steady_clock;

  // `patience` zero: nobody is missed.
  LifeSigns(int num_replicas, std::chrono::seconds patience, Clock::time_point now);

  // Time goes on. Of a time in which nobody looked for messages (this process was stopped, or its
  // own step took long) a quarter of the patience counts at most: what was sent then is yet to be
  // read.
  void tick(Clock::time_point now);
  void heard(int replica) { silent_[static_cast<size_t>(replica)] = {}; }
  // Silence counts from when a replica gets work.
  void holds_work(int replica, bool does);

  // A replica that has work and was silent for longer than the patience; -1: none.
  int missing() const;
  std::chrono::seconds patience() const { return patience_; }

 private:
  std::chrono::seconds patience_;
  Clock::time_point now_;
  std::vector<Clock::duration> silent_;
  std::vector<bool> holds_;
};

}  // namespace ll
