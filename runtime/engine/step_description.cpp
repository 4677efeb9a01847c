#include "runtime/engine/step_description.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace ll {
namespace {

struct Rows {
  std::vector<int32_t> ids, positions, slots;
  int32_t longest = 0;  // positions that one of them attends to

  void add(int32_t id, int32_t position, int32_t slot) {
    ids.push_back(id);
    positions.push_back(position);
    slots.push_back(slot);
    longest = std::max(longest, position + 1);
  }
};

struct Samples {
  std::vector<SamplingRow> draws;
  std::vector<int32_t> rows;  // empty when sample i is row i
  std::vector<LogitEdit> edits;
  SamplingNeeds needs;
};

// Rows of chunks that want prompt logprobs, and the tokens that follow them.
struct PromptRows {
  std::vector<int32_t> rows, targets;
  int num_logprobs = 0;
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

// What attention reads of groups of rows; the lists of a bucket have one length.
struct Groups {
  std::vector<PrefixGroup> list;
  std::vector<int32_t> of_rows;
};

Groups list_groups(const StepPlan& plan, int32_t padded_rows) {
  Groups groups{.list = plan.prefix_groups};
  if (groups.list.empty()) return groups;
  // There are fewer groups than rows: each has two or more, and not the same as its parent.
  auto rows = std::max(plan.decode.size(), static_cast<size_t>(padded_rows));
  ensure(groups.list.size() < rows, "step plan: more groups than rows");
  if (padded_rows > 0) groups.list.resize(rows);
  groups.of_rows.assign(rows, -1);
  for (size_t i = 0; i < plan.prefix_groups.size(); ++i) {
    const PrefixGroup& g = plan.prefix_groups[i];
    std::fill_n(groups.of_rows.begin() + g.first_row, g.num_rows, static_cast<int32_t>(i));
  }
  return groups;
}

Samples list_samples(const StepPlan& plan, std::span<const SlotSampling> slots,
                     int32_t padded_rows) {
  Samples list;
  bool in_order = true;
  auto ban = plan.bans.begin();  // they are in the order of the samples
  for (const StepPlan::Sample& sample : plan.samples) {
    const SlotSampling& s = slots[static_cast<size_t>(sample.slot)];
    auto row = static_cast<int32_t>(list.draws.size());
    list.draws.push_back({s, sample.slot, sample.position});
    list.rows.push_back(sample.row);
    in_order &= sample.row == row;
    list.needs |= s;
    list.needs.num_logprobs = std::max(list.needs.num_logprobs, s.num_logprobs);
    for (auto [token, bias] : s.logit_bias) list.edits.push_back({row, token, bias});
    if (sample.position < s.min_position)
      for (int32_t token : s.banned_before) list.edits.push_back({row, token, -INFINITY});
    for (; ban != plan.bans.end() && ban->sample == row; ++ban)
      list.edits.push_back({row, ban->token, -INFINITY, ban->after});
  }
  ensure(ban == plan.bans.end(), "step plan: bans that are not in the order of the samples");
  if (in_order) list.rows.clear();
  list.needs.num_edits = static_cast<int32_t>(list.edits.size());
  list.draws.resize(std::max(list.draws.size(), static_cast<size_t>(padded_rows)));
  return list;
}

PromptRows list_prompts(const StepPlan& plan, const std::vector<Chunk>& chunks) {
  PromptRows list;
  for (size_t c = 0; c < plan.chunks.size(); ++c) {
    const StepPlan::PromptChunk& chunk = plan.chunks[c];
    for (size_t i = 0; i < chunk.num_scored(); ++i) {
      list.num_logprobs = std::max(list.num_logprobs, chunk.num_prompt_logprobs);
      list.rows.push_back(chunks[c].first_row + static_cast<int32_t>(i));
      list.targets.push_back(chunk.target(i));
    }
  }
  return list;
}

// This rank's rows of the copied pages.
std::vector<PageCopy> own_copies(const StepPlan& plan, const PositionSplit& positions) {
  std::vector<PageCopy> copies = plan.page_copies;
  for (PageCopy& c : copies) c.num_rows = positions.count(c.num_rows);
  return copies;
}

// The tokens that start the counts of sequences that have some, one list behind the other.
std::vector<int32_t> list_counted(const StepPlan& plan) {
  std::vector<int32_t> tokens;
  for (const StepPlan::NewSlot& s : plan.new_slots) {
    if (!s.sampling.has_penalties()) continue;
    tokens.insert(tokens.end(), s.allowed.begin(), s.allowed.end());
    tokens.insert(tokens.end(), s.prompt.begin(), s.prompt.end());
    tokens.insert(tokens.end(), s.output.begin(), s.output.end());
  }
  return tokens;
}

std::vector<StepDescription::Counts> split_counted(const StepPlan& plan,
                                                   std::span<const int32_t> tokens) {
  std::vector<StepDescription::Counts> counts;
  for (const StepPlan::NewSlot& s : plan.new_slots) {
    if (!s.sampling.has_penalties()) continue;
    CountedTokens counted{.tokens = tokens.data(),
                          .num_allowed = static_cast<int32_t>(s.allowed.size()),
                          .num_prompt = static_cast<int32_t>(s.prompt.size()),
                          .num_output = static_cast<int32_t>(s.output.size())};
    counts.push_back({s.slot, counted});
    tokens = tokens.subspan(static_cast<size_t>(counted.length()));
  }
  return counts;
}

// The sequences that take slots, and their tokens, one list behind the other.
struct Starts {
  std::vector<HistoryStart> list;
  std::vector<int32_t> tokens;
};

Starts list_starts(const StepPlan& plan) {
  Starts starts;
  for (const StepPlan::NewSlot& s : plan.new_slots) {
    if (s.end == 0) continue;
    auto first = static_cast<int32_t>(starts.tokens.size());
    for (const auto* list : {&s.prompt, &s.output})
      starts.tokens.insert(starts.tokens.end(), list->begin(), list->end());
    starts.list.push_back(
        {s.slot, first, static_cast<int32_t>(starts.tokens.size()) - first, s.end});
  }
  return starts;
}

void note_results(const StepPlan& plan, std::span<const SlotSampling> slots, Flight& flight) {
  flight.num_samples = static_cast<int64_t>(plan.samples.size());
  flight.has_scores = false;
  flight.wanted.clear();
  for (const auto& s : plan.samples) {
    flight.wanted.push_back(slots[static_cast<size_t>(s.slot)].num_logprobs);
    flight.has_scores |= flight.wanted.back() >= 0;
  }
  flight.prompt_rows.clear();
  flight.prompt_pieces.clear();
  flight.scored.reset();
  flight.num_prompt_chunks = 0;
  for (const auto& c : plan.chunks) {
    if (c.num_prompt_logprobs < 0) continue;
    auto index = static_cast<int32_t>(flight.num_prompt_chunks++);
    for (size_t i = 0; i < c.num_scored(); ++i)
      flight.prompt_rows.push_back({index, c.target(i), c.num_prompt_logprobs});
  }
}

}  // namespace

StepDescription describe_step(const StepPlan& plan, const DecodeGraphs::Key& graph,
                              const SlotTables& tables, StagedUpload& upload, Flight& flight) {
  note_results(plan, tables.sampling, flight);
  StepDescription d{.graph = graph, .num_samples = static_cast<int32_t>(plan.samples.size())};
  Rows rows = list_rows(plan, graph.bucket, d.chunks);
  Groups groups = list_groups(plan, graph.bucket);
  Samples samples = list_samples(plan, tables.sampling, graph.bucket);
  PromptRows prompts = list_prompts(plan, d.chunks);
  d.needs = samples.needs;
  d.num_prompt_logprobs = prompts.num_logprobs;

  // What a captured decode step reads comes first, so that it always lies in the same place.
  upload.begin();
  auto ids = upload.add(rows.ids);
  auto positions = upload.add(rows.positions);
  auto row_slots = upload.add(rows.slots);
  auto sampling = upload.add(samples.draws);
  auto host_tokens = upload.add(std::vector<int32_t*>{flight.tokens});
  auto prefix_groups = upload.add(groups.list);
  auto row_groups = upload.add(groups.of_rows);
  auto chunks = upload.add(d.chunks);
  auto sample_rows = upload.add(samples.rows);
  auto edits = upload.add(samples.edits);
  auto prompt_rows = upload.add(prompts.rows);
  auto prompt_targets = upload.add(prompts.targets);
  auto deltas = upload.add(plan.page_deltas);
  auto copies = upload.add(own_copies(plan, tables.positions));
  auto counted = upload.add(list_counted(plan));
  Starts starts_listed = list_starts(plan);
  auto starts = upload.add(starts_listed.list);
  auto start_tokens = upload.add(starts_listed.tokens);
  upload.upload();

  d.inputs.batch = {.num_tokens = static_cast<int32_t>(rows.ids.size()),
                    .num_decode = std::max(static_cast<int32_t>(plan.decode.size()), graph.bucket),
                    .positions = upload.get(positions).data(),
                    .slots = upload.get(row_slots).data(),
                    .page_table = tables.page_table,
                    .page_table_stride = tables.page_table_stride,
                    .chunks = d.chunks,
                    .device_chunks = upload.get(chunks).data(),
                    .max_kv_length = rows.longest,
                    .num_prefix_groups = static_cast<int32_t>(groups.list.size()),
                    .prefix_groups = upload.get(prefix_groups).data(),
                    .row_groups = upload.get(row_groups).data()};
  d.inputs.ids = upload.get(ids).data();
  d.inputs.last_tokens = tables.last_tokens;
  d.inputs.gathered = plan.gathered;
  d.ids = upload.get_writable(ids).data();
  d.positions = upload.get_writable(positions).data();
  d.sampling = upload.get_writable(sampling);
  d.starts = upload.get(starts);
  d.start_tokens = upload.get(start_tokens);
  d.host_tokens = upload.get(host_tokens).data();
  d.sample_rows = upload.get(sample_rows);
  d.edits = upload.get(edits);
  d.prompt_rows = upload.get(prompt_rows);
  d.prompt_targets = upload.get(prompt_targets);
  d.page_deltas = upload.get(deltas);
  d.page_copies = upload.get(copies);
  d.counts = split_counted(plan, upload.get(counted));
  d.graph.samples = d.needs.is_plain();
  d.graph.num_drafts = plan.num_drafts;
  d.graph.generation = upload.generation();
  return d;
}

}  // namespace ll
