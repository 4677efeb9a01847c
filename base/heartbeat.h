#pragma once
#include <chrono>

namespace ll {

// Whether who should make progress does. Time is handed in; the one who looks does so every
// `period`, and when he comes much later his own clock stood still (the job was suspended): what
// happened meanwhile he cannot know, and the limit starts again.
class Heartbeat {
 public:
  using Clock = std::chrono::steady_clock;

  // A limit of zero: silence may last for any time.
  Heartbeat(Clock::duration limit, Clock::duration period, Clock::time_point now)
      : limit_(limit), period_(period), beat_(now), looked_(now) {}

  void beat(Clock::time_point now) { beat_ = now; }
  // Whether the last beat is longer ago than the limit.
  bool is_silent(Clock::time_point now) {
    bool was_stopped = now - looked_ > 3 * period_;
    looked_ = now;
    if (was_stopped) beat_ = now;
    return limit_.count() > 0 && now - beat_ > limit_;
  }

 private:
  Clock::duration limit_, period_;
  Clock::time_point beat_, looked_;
};

}  // namespace ll
