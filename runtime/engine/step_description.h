#pragma once
// A plan as the device sees it: arrays, sent in one copy, and how the step is to be run.
#include <span>
#include <vector>

#include "model/decoder/decoder.h"
#include "runtime/engine/decode_graphs.h"
#include "runtime/engine/flight.h"
#include "runtime/engine/staged_upload.h"
#include "runtime/schedule/step_plan.h"

namespace ll {

// What outlives steps.
struct SlotTables {
  const int32_t* page_table = nullptr;  // device [num_slots, page_table_stride]
  int64_t page_table_stride = 0;
  const int32_t* last_tokens = nullptr;    // device [num_slots]
  std::span<const SlotSampling> sampling;  // [num_slots], on the host
  PositionSplit positions;                 // how the pages lie over ranks
};

// Spans are of device memory, valid until the next description is sent.
struct StepDescription {
  // Decode rows are padded with unused ones up to the bucket, so that steps of one bucket look
  // alike; bucket 0: neither padded nor captured. The number of drafts is the plan's in any case.
  DecodeGraphs::Key graph;
  StepInputs inputs;
  std::vector<Chunk> chunks;
  int32_t num_samples = 0;
  SamplingNeeds needs;
  std::span<SamplingRow> sampling;  // [samples], padded rows included
  // Those of `inputs`: with speculation the device puts rows where they are (ProposeArgs).
  int32_t *ids = nullptr, *positions = nullptr;
  std::span<const HistoryStart> starts;  // with speculation, of sequences that take slots
  std::span<const int32_t> start_tokens;
  std::span<const int32_t> sample_rows;  // [samples]; empty: sample i is row i
  std::span<const LogitEdit> edits;
  int32_t* const* host_tokens = nullptr;  // see ChooseArgs
  std::span<const PageDelta> page_deltas;
  std::span<const PageCopy> page_copies;

  // Rows whose next prompt token is scored.
  std::span<const int32_t> prompt_rows, prompt_targets;
  int num_prompt_logprobs = 0;  // the most that one of them asks for

  // Sequences whose token counts start.
  struct Counts {
    int32_t slot = 0;
    CountedTokens counted;
  };
  std::vector<Counts> counts;

  bool is_captured() const { return graph.bucket > 0; }
  int32_t num_rows() const { return inputs.batch.num_tokens; }
};

// `graph` gives the bucket, the mode and whether there are groups. Notes in `flight` what becomes
// of the step's results; the tokens of all samples and padded rows come to its host memory.
StepDescription describe_step(const StepPlan& plan, const DecodeGraphs::Key& graph,
                              const SlotTables& tables, StagedUpload& upload, Flight& flight);

}  // namespace ll
