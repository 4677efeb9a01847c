#include "runtime/engine/step_description.h"

#include <algorithm>
#include <cmath>

namespace ll {
namespace {

struct Rows {
  std::vector<int32_t> ids, positions, slots;

  void add(int32_t id, int32_t position, int32_t slot) {
    ids.push_back(id);
    positions.push_back(position);
    slots.push_back(slot);
  }
};

Rows list_rows(const StepPlan& plan, int32_t padded_rows, std::vector<Chunk>& chunks) {
  Rows r;
  for (const auto& d : plan.decode) r.add(~d.slot, d.position, d.slot);
  while (static_cast<int32_t>(r.ids.size()) < padded_rows) r.add(0, -1, 0);
  for (const auto& c : plan.chunks) {
    chunks.push_back({c.slot, static_cast<int32_t>(r.ids.size()),
                      static_cast<int32_t>(c.tokens.size()), c.first_position});
    for (size_t i = 0; i < c.tokens.size(); ++i)
      r.add(c.tokens[i], c.first_position + static_cast<int32_t>(i), c.slot);
  }
  return r;
}

// Biases and bans of the sampled rows.
std::vector<LogitEdit> list_edits(const StepPlan& plan, const std::vector<SlotSampling>& slots) {
  std::vector<LogitEdit> edits;
  for (size_t i = 0; i < plan.samples.size(); ++i) {
    const auto& sample = plan.samples[i];
    const SlotSampling& s = slots[static_cast<size_t>(sample.slot)];
    auto row = static_cast<int32_t>(i);
    for (auto [token, bias] : s.logit_bias) edits.push_back({row, token, bias});
    if (sample.position < s.min_position)
      for (int32_t token : s.banned_before) edits.push_back({row, token, -INFINITY});
  }
  return edits;
}

SamplingNeeds needs_of(const StepPlan& plan, const std::vector<SlotSampling>& slots) {
  SamplingNeeds needs;
  for (const auto& sample : plan.samples) {
    const SlotSampling& s = slots[static_cast<size_t>(sample.slot)];
    needs |= s;
    needs.num_logprobs = std::max(needs.num_logprobs, s.num_logprobs);
  }
  return needs;
}

// Rows of chunks that want prompt logprobs, and the tokens that follow them.
void list_prompts(const StepPlan& plan, StepDescription& d, std::vector<int32_t>& rows,
                  std::vector<int32_t>& targets) {
  int32_t scored_chunk = 0;
  for (size_t c = 0; c < plan.chunks.size(); ++c) {
    const auto& chunk = plan.chunks[c];
    if (chunk.num_prompt_logprobs < 0) continue;
    for (size_t i = 0; i < chunk.tokens.size(); ++i) {
      int32_t target = i + 1 < chunk.tokens.size() ? chunk.tokens[i + 1] : chunk.next_token;
      if (target < 0) continue;
      rows.push_back(d.chunks[c].first_row + static_cast<int32_t>(i));
      targets.push_back(target);
      d.prompts.push_back({scored_chunk, target, chunk.num_prompt_logprobs});
    }
    ++scored_chunk;
  }
}

// This rank's rows of the copied pages.
std::vector<PageCopy> own_copies(const StepPlan& plan, const PositionSplit& positions) {
  std::vector<PageCopy> copies = plan.page_copies;
  for (PageCopy& c : copies) c.num_rows = positions.count(c.num_rows);
  return copies;
}

}  // namespace

StepDescription describe_step(const StepPlan& plan, const std::vector<SlotSampling>& slots,
                              int32_t padded_rows, const SlotTables& tables, int32_t* host_tokens,
                              StagedUpload& upload) {
  StepDescription d;
  Rows rows = list_rows(plan, padded_rows, d.chunks);
  std::vector<SamplingRow> sampling;
  std::vector<int32_t> sample_rows, prompt_rows, prompt_targets;
  bool in_order = true;
  for (size_t i = 0; i < plan.samples.size(); ++i) {
    const StepPlan::Sample& sample = plan.samples[i];
    sampling.push_back({slots[static_cast<size_t>(sample.slot)], sample.slot, sample.position});
    sample_rows.push_back(sample.row);
    in_order &= sample.row == static_cast<int32_t>(i);
  }
  sampling.resize(std::max(sampling.size(), static_cast<size_t>(padded_rows)));
  list_prompts(plan, d, prompt_rows, prompt_targets);
  std::vector<LogitEdit> edits = list_edits(plan, slots);
  d.needs = needs_of(plan, slots);
  d.needs.num_edits = static_cast<int32_t>(edits.size());

  // What a captured decode step reads comes first, so that it always lies in the same place.
  upload.begin();
  auto ids = upload.add(rows.ids);
  auto positions = upload.add(rows.positions);
  auto row_slots = upload.add(rows.slots);
  auto sampling_place = upload.add(sampling);
  auto host_tokens_place = upload.add(std::vector<int32_t*>{host_tokens});
  auto chunks = upload.add(d.chunks);
  auto sample_rows_place = upload.add(in_order ? std::vector<int32_t>() : sample_rows);
  auto edits_place = upload.add(edits);
  auto prompt_rows_place = upload.add(prompt_rows);
  auto targets_place = upload.add(prompt_targets);
  auto deltas = upload.add(plan.page_deltas);
  auto copies = upload.add(own_copies(plan, tables.positions));
  std::vector<StagedUpload::Place<int32_t>> count_places;
  for (const auto& s : plan.new_slots) {
    if (!s.sampling.has_penalties()) continue;
    std::vector<int32_t> tokens = s.prompt;
    tokens.insert(tokens.end(), s.output.begin(), s.output.end());
    count_places.push_back(upload.add(tokens));
    d.counts.push_back({s.slot, static_cast<int32_t>(s.prompt.size()),
                        static_cast<int32_t>(tokens.size()), nullptr});
  }
  upload.upload();

  for (size_t i = 0; i < d.counts.size(); ++i) d.counts[i].tokens = upload.get(count_places[i]);
  int32_t longest = 0;
  for (int32_t p : rows.positions) longest = std::max(longest, p + 1);
  d.inputs.batch = {.num_tokens = static_cast<int32_t>(rows.ids.size()),
                    .num_decode = std::max(static_cast<int32_t>(plan.decode.size()), padded_rows),
                    .positions = upload.get(positions),
                    .slots = upload.get(row_slots),
                    .page_table = tables.page_table,
                    .page_table_stride = tables.page_table_stride,
                    .chunks = d.chunks,
                    .device_chunks = upload.get(chunks),
                    .max_kv_length = longest};
  d.inputs.ids = upload.get(ids);
  d.inputs.last_tokens = tables.last_tokens;
  d.inputs.gathered = plan.gathered;
  d.sampling = upload.get(sampling_place);
  d.host_tokens = upload.get(host_tokens_place);
  d.sample_rows = upload.get(sample_rows_place);
  d.edits = upload.get(edits_place);
  d.prompt_rows = upload.get(prompt_rows_place);
  d.prompt_targets = upload.get(targets_place);
  d.page_deltas = upload.get(deltas);
  d.page_copies = upload.get(copies);
  return d;
}

}  // namespace ll
