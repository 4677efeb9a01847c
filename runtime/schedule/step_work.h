#pragma once
// What steps have to do, counted: the measure of floors, of what grids cost, and of what was run.
#include <cstdint>

#include "runtime/schedule/step_plan.h"

namespace ll {

struct StepWork {
  int64_t steps = 0;
  int64_t rows = 0;             // tokens that go through the layers
  int64_t samples = 0;          // tokens that are drawn
  int64_t sequences = 0;        // with rows in a step, summed over steps
  int64_t kv_positions = 0;     // of earlier steps, read by the sequences of a step
  int64_t attention_pairs = 0;  // queries times the positions each of them attends to
  int64_t prompt_pairs = 0;     // those of prompts' queries

  // One step that draws a token for each sequence, whose own position follows `context` others.
  static StepWork decode(int64_t sequences, int64_t context);
  // One step that runs whole prompts.
  static StepWork prefill(int64_t prompts, int64_t length);

  StepWork& operator+=(const StepWork& o);
  StepWork operator-(const StepWork& o) const;
  bool operator==(const StepWork&) const = default;
};

StepWork work_of(const StepPlan& plan);

}  // namespace ll
