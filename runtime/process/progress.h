#pragma once
// How far a batch job is: a bar that redraws itself on a terminal, a plain line every few seconds
// elsewhere.
#include <chrono>
#include <cstdint>

namespace ll {

struct BatchCounts {
  int64_t done = 0, total = -1;  // requests; total -1: not known
  int64_t before = 0;            // of those that are done: by earlier runs
  int64_t errors = 0;
  int64_t prompt_tokens = 0, cached_tokens = 0, output_tokens = 0;
  int64_t preemptions = 0, running = 0, waiting = 0;
};

class Progress {
 public:
  Progress();
  // Draws when it is time to.
  void update(const BatchCounts& counts);
  // Clears the bar and prints the summary to standard error.
  void finish(const BatchCounts& counts);
  double seconds() const;

 private:
  using Clock = std::chrono::steady_clock;
  void draw(const BatchCounts& counts);

  bool is_terminal_;
  Clock::time_point start_, drawn_;
};

// An error message follows: clears the bar's line, and no bar is drawn any more.
void end_progress();

}  // namespace ll
