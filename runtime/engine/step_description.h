#pragma once
// A plan as the device sees it: arrays, sent in one copy.
#include <vector>

#include "model/decoder/decoder.h"
#include "model/decoder/sampler.h"
#include "runtime/engine/staged_upload.h"
#include "runtime/schedule/step_plan.h"

namespace ll {

// Device tables that outlive steps.
struct SlotTables {
  const int32_t* page_table = nullptr;  // [num_slots, page_table_stride]
  int64_t page_table_stride = 0;
  const int32_t* last_tokens = nullptr;  // [num_slots]
  PositionSplit positions;               // how the pages lie over ranks
};

// Pointers are device memory, valid until the next description is sent.
struct StepDescription {
  StepInputs inputs;
  std::vector<Chunk> chunks;
  SamplingNeeds needs;
  const SamplingRow* sampling = nullptr;  // [samples], padded rows included
  int32_t* const* host_tokens = nullptr;  // see ChooseArgs
  const int32_t* sample_rows = nullptr;   // [samples]; null: sample i is row i
  const LogitEdit* edits = nullptr;
  const PageDelta* page_deltas = nullptr;
  const PageCopy* page_copies = nullptr;

  // Rows whose next prompt token is scored.
  struct Prompt {
    int32_t chunk, target, num_logprobs;
  };
  std::vector<Prompt> prompts;
  const int32_t* prompt_rows = nullptr;
  const int32_t* prompt_targets = nullptr;

  // Sequences whose token counts start.
  struct Counts {
    int32_t slot, num_prompt, length;
    const int32_t* tokens;
  };
  std::vector<Counts> counts;
};

// `padded_rows`: decode rows are padded with unused ones up to it, so that steps of one bucket look
// alike; 0: no padding. `host_tokens`: memory of alloc_host that the tokens of all samples and
// padded rows come to, or null.
StepDescription describe_step(const StepPlan& plan, const std::vector<SlotSampling>& slots,
                              int32_t padded_rows, const SlotTables& tables, int32_t* host_tokens,
                              StagedUpload& upload);

}  // namespace ll
