#pragma once
// What a rendering has taken so far. Values are compared, hashed and printed by walking them, and
// as their parts may be shared, one that takes little memory may take for ever: [l, l] of [l, l] of
// ...
#include <cstddef>

namespace ll::jinja {

class RenderMeter {
 public:
  // This thread's, until it is gone.
  explicit RenderMeter(size_t steps) : steps_(steps), steps_left_(steps), outer_(current) {
    current = this;
  }
  ~RenderMeter() { current = outer_; }
  RenderMeter(const RenderMeter&) = delete;
  RenderMeter& operator=(const RenderMeter&) = delete;

  // Throws Error where no such number of steps is left.
  void charge(size_t steps) {
    if (steps > steps_left_) [[unlikely]]
      refuse();
    steps_left_ -= steps;
  }

  // On this thread's meter; nothing counts where nothing is rendered.
  static void count(size_t steps) {
    if (current != nullptr) current->charge(steps);
  }

 private:
  [[noreturn]] void refuse() const;

  static thread_local RenderMeter* current;
  size_t steps_, steps_left_;
  RenderMeter* outer_;
};

}  // namespace ll::jinja
