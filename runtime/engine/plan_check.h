#pragma once
#include <cstdint>

#include "runtime/schedule/step_plan.h"

namespace ll {

// What the plans of a runner stay within.
struct PlanLimits {
  int64_t max_num_seqs = 0, max_num_batched_tokens = 0;
  int64_t max_drafts = 0, max_draft_rows = 0;  // of a sequence, of a step
  int64_t max_length = 0;                      // positions of a sequence
  int64_t num_pages = 0, page_span = 0;
  int64_t vocab = 0;
};

// Throws Error that says what of a plan is outside the limits: one from a file may hold anything.
void check_plan(const StepPlan& plan, const PlanLimits& limits);

}  // namespace ll
