#pragma once
// When the device worked and when it waited: an event before and after each step's work, read back
// at the end.
#include <string>
#include <vector>

#include "kernels/backend.h"

namespace ll {

class StepTrace {
 public:
  enum class Keeps { kFirst, kLast };
  // Records the first or the last `max_steps` steps from here on.
  StepTrace(const Backend& backend, Stream stream, size_t max_steps, Keeps keeps = Keeps::kFirst);
  ~StepTrace();
  StepTrace(const StepTrace&) = delete;
  StepTrace& operator=(const StepTrace&) = delete;

  void begin_step(int32_t id, int32_t rows);
  void end_step();

  struct Summary {
    size_t steps = 0;
    double busy_ms = 0, idle_ms = 0;  // idle: from the end of one step to the begin of the next
    double idle_share() const { return busy_ms + idle_ms > 0 ? idle_ms / (busy_ms + idle_ms) : 0; }
  };
  // Waits for the recorded steps.
  Summary summary();
  // The steps as a Chrome trace (chrome://tracing, Perfetto). Throws Error when the file cannot be
  // written.
  void write(const std::string& path);

 private:
  struct Step {
    int32_t id, rows;
    Event begin, end;
    bool is_complete = false;
  };
  // The steps that are recorded, the oldest first.
  const Step& step(size_t i) const { return steps_[(oldest_ + i) % steps_.size()]; }
  Step& newest() { return steps_[(oldest_ + steps_.size() - 1) % steps_.size()]; }

  const Backend& backend_;
  Stream stream_;
  size_t max_steps_;
  Keeps keeps_;
  std::vector<Step> steps_;
  size_t oldest_ = 0;
};

}  // namespace ll
