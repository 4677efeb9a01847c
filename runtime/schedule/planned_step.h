#pragma once
// A plan as the scheduler knows it: with who its rows and samples are for.
#include <cstdint>
#include <memory>
#include <vector>

#include "runtime/schedule/sequence.h"
#include "runtime/schedule/step_cost.h"
#include "runtime/schedule/step_events.h"
#include "runtime/schedule/step_plan.h"

namespace ll {

struct PlannedStep {
  StepPlan plan;
  std::vector<std::shared_ptr<Sequence>> samples;  // as plan.samples, whose first are of its decode
  std::vector<int64_t> chunk_owners;               // requests, as plan.chunks
  std::vector<StartedPrompt> started;
  // The chunks with prompt logprobs, in order; their scores are yet to come.
  std::vector<PromptScores> scored;
  bool has_preempted = false;

  // Nothing to tell the ranks. A plan without rows may yet start slots and fill page tables.
  bool is_empty() const {
    return plan.num_tokens() == 0 && plan.new_slots.empty() && plan.page_deltas.empty() &&
           plan.page_copies.empty();
  }
  // Whose tokens the step computes; a request may be there several times.
  std::vector<CostShare> shares() const;
};

}  // namespace ll
