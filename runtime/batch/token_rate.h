#pragma once
#include <chrono>
#include <cstdint>
#include <optional>

namespace ll {

// How many tokens a running answer gets a second, by what came within the last half second or so.
class TokenRate {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr Clock::duration kWindow = std::chrono::milliseconds(500);

  // To be called now and then: tokens of all answers so far, and answers that ran since the last
  // call.
  void update(Clock::time_point now, int64_t tokens, int64_t running) {
    if (!window_) window_ = Window{now, now, tokens, 0};
    auto seconds = [](Clock::duration d) { return std::chrono::duration<double>(d).count(); };
    window_->answer_seconds += static_cast<double>(running) * seconds(now - window_->last);
    window_->last = now;
    if (now - window_->begin < kWindow) return;
    if (window_->answer_seconds > 0)
      rate_ = static_cast<double>(tokens - window_->tokens) / window_->answer_seconds;
    window_.reset();
    update(now, tokens, running);
  }
  // 0: not known yet.
  double per_answer() const { return rate_; }

 private:
  struct Window {
    Clock::time_point begin, last;
    int64_t tokens;  // when it began
    double answer_seconds;
  };
  std::optional<Window> window_;
  double rate_ = 0;
};

}  // namespace ll
