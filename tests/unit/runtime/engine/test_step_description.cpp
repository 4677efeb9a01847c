#include "runtime/engine/step_description.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "tests/support/device.h"

using namespace ll;
using namespace ll::test;

namespace {

using Words = std::vector<int32_t>;

template <class T>
std::vector<T> list_of(std::span<const T> values) {
  return {values.begin(), values.end()};
}
Words list_of(const int32_t* values, int32_t count) { return {values, values + count}; }
Words tokens_of(const CountedTokens& c) { return list_of(c.tokens, c.length()); }

// Describes plans for eight slots on a backend whose device memory the host can read.
struct Describer {
  StepDescription operator()(const StepPlan& plan, const DecodeGraphs::Key& graph = {}) {
    for (const auto& s : plan.new_slots) slots[static_cast<size_t>(s.slot)] = s.sampling;
    SlotTables tables{.page_table = table.data(),
                      .page_table_stride = 1,
                      .last_tokens = table.data(),
                      .sampling = slots};
    return describe_step(plan, graph, tables, upload, flight);
  }

  std::vector<SlotSampling> slots{8};
  Words table = Words(8);
  StagedUpload upload{backend(), stream(), 4096};
  Flight flight{backend(), 8};
};

}  // namespace

TEST_CASE("a captured step is padded to its bucket, and its tokens go to the flight") {
  Describer describe;
  StepPlan plan{.decode = {{3, 10}, {5, 20}, {1, 4}},
                .samples = {{0, 3, 11}, {1, 5, 21}, {2, 1, 5}}};
  StepDescription d = describe(plan, {4, DecodeGraphs::Mode::kStationary});
  CHECK(d.is_captured());
  CHECK(d.graph.samples);
  CHECK(d.num_rows() == 4);
  CHECK(d.inputs.batch.num_decode == 4);
  CHECK(list_of(d.inputs.ids, 4) == Words{~3, ~5, ~1, 0});
  CHECK(list_of(d.inputs.batch.positions, 4) == Words{10, 20, 4, -1});
  CHECK(d.inputs.batch.max_kv_length == 21);
  CHECK(d.num_samples == 3);
  REQUIRE(d.sampling.size() == 4);
  CHECK(d.sampling[1].slot == 5);
  CHECK(d.sampling[1].position == 21);
  CHECK(d.sampling[3].slot == -1);
  CHECK(d.sample_rows.empty());
  CHECK(*d.host_tokens == describe.flight.tokens);
  CHECK(describe.flight.num_samples == 3);
  CHECK(describe.flight.wanted == Words{-1, -1, -1});
  CHECK(!describe.flight.has_scores);
  // All steps of one bucket read the same places.
  StepDescription next = describe(plan, {4, DecodeGraphs::Mode::kStationary});
  CHECK(next.graph == d.graph);
  CHECK(next.inputs.ids == d.inputs.ids);
  CHECK(next.sampling.data() == d.sampling.data());
}

TEST_CASE("groups of a captured step are padded to its bucket") {
  Describer describe;
  StepPlan plan{.decode = {{3, 40}, {5, 50}, {1, 44}, {2, 9}, {4, 60}},
                .samples = {{0, 3, 41}, {1, 5, 51}, {2, 1, 45}, {3, 2, 10}, {4, 4, 61}},
                .prefix_groups = {{0, 3, 0, 2, -1}, {1, 2, 2, 1, 0}}};
  DecodeGraphs::Key key{8, DecodeGraphs::Mode::kStationary, /*groups=*/true};
  StepDescription d = describe(plan, key);
  const BatchView& b = d.inputs.batch;
  REQUIRE(b.num_prefix_groups == 8);
  CHECK(b.prefix_groups[1] == plan.prefix_groups[1]);
  for (int32_t i = 2; i < 8; ++i) CHECK(b.prefix_groups[i].num_rows == 0);
  CHECK(list_of(b.row_groups, 8) == Words{0, 1, 1, -1, -1, -1, -1, -1});
  // Other groups lie in the same places.
  plan.prefix_groups = {{3, 2, 0, 1, -1}};
  StepDescription next = describe(plan, key);
  CHECK(next.graph == d.graph);
  CHECK(next.inputs.batch.prefix_groups == b.prefix_groups);
  CHECK(next.inputs.batch.row_groups == b.row_groups);
  CHECK(next.sampling.data() == d.sampling.data());
  CHECK(list_of(b.row_groups, 8) == Words{-1, -1, -1, 0, 0, -1, -1, -1});
  // Without a bucket there are those of the plan; without groups, none.
  CHECK(describe(plan).inputs.batch.num_prefix_groups == 1);
  plan.prefix_groups.clear();
  CHECK(describe(plan, {8}).inputs.batch.num_prefix_groups == 0);
}

TEST_CASE("samples out of order name their rows, and bring what their slots ask for") {
  Describer describe;
  StepPlan plan{.chunks = {{.slot = 2, .first_position = 5, .tokens = {7, 8, 9}}},
                .samples = {{2, 2, 8}, {2, 4, 8}},
                .bans = {{1, 40, 41}}};
  SlotSampling biased, penalized{Draw{.temperature = 1, .top_p = 0.5f, .presence_penalty = 1}};
  biased.logit_bias = {{30, 2.5f}};
  biased.banned_before = {0};
  biased.min_position = 9;
  penalized.num_logprobs = 3;
  plan.new_slots = {{.slot = 2, .sampling = biased},
                    {.slot = 4, .sampling = penalized, .prompt = {7, 8}, .output = {9}},
                    {.slot = 6, .sampling = penalized, .allowed = {1, 2}, .prompt = {5}}};
  StepDescription d = describe(plan);
  CHECK(!d.is_captured());
  CHECK(!d.graph.samples);
  CHECK(list_of(d.sample_rows) == Words{2, 2});
  CHECK(d.needs.penalties);
  CHECK(d.needs.top_p);
  CHECK(!d.needs.top_k);
  CHECK(d.needs.num_logprobs == 3);
  REQUIRE(d.edits.size() == 3);
  CHECK(d.needs.num_edits == 3);
  CHECK(d.edits[2].row == 1);
  CHECK(d.edits[2].token == 40);
  CHECK(d.edits[2].after == 41);
  CHECK(d.edits[0].bias == 2.5f);
  CHECK(std::isinf(d.edits[1].bias));
  REQUIRE(d.counts.size() == 2);
  CHECK(d.counts[0].slot == 4);
  CHECK(d.counts[0].counted.num_prompt == 2);
  CHECK(tokens_of(d.counts[0].counted) == Words{7, 8, 9});
  CHECK(d.counts[1].slot == 6);
  CHECK(tokens_of(d.counts[1].counted) == Words{1, 2, 5});
  CHECK(d.counts[1].counted.num_allowed == 2);
  CHECK(describe.flight.has_scores);
  CHECK(describe.flight.wanted == Words{-1, 3});
}

TEST_CASE("prompt rows with a next token are scored, chunk by chunk") {
  Describer describe;
  StepPlan plan;
  plan.decode = {{0, 3}};
  plan.chunks = {{.slot = 1, .num_prompt_logprobs = 2, .tokens = {11, 12}, .next_token = 13},
                 {.slot = 2, .tokens = {21, 22}},
                 {.slot = 3, .num_prompt_logprobs = 0, .tokens = {31}},
                 {.slot = 4, .num_prompt_logprobs = 5, .tokens = {41, 42}}};
  StepDescription d = describe(plan);
  CHECK(list_of(d.prompt_rows) == Words{1, 2, 6});
  CHECK(list_of(d.prompt_targets) == Words{12, 13, 42});
  CHECK(d.num_prompt_logprobs == 5);
  CHECK(describe.flight.num_prompt_chunks == 3);
  Words chunks;
  for (const auto& p : describe.flight.prompt_rows) chunks.push_back(p.chunk);
  CHECK(chunks == Words{0, 0, 2});
}

TEST_CASE("a plan that only moves pages has no rows") {
  Describer describe;
  StepPlan plan{.page_deltas = {{1, 0, 6}}, .page_copies = {{2, 6, 3}}};
  StepDescription d = describe(plan);
  CHECK(d.num_rows() == 0);
  CHECK(d.num_samples == 0);
  REQUIRE(d.page_deltas.size() == 1);
  CHECK(d.page_deltas[0].page == 6);
  REQUIRE(d.page_copies.size() == 1);
  CHECK(d.page_copies[0].num_rows == 3);
  CHECK(*d.host_tokens == describe.flight.tokens);
}

TEST_CASE("what sequences start from goes to the device, and rows are its to place") {
  Describer describe;
  StepPlan plan{.num_drafts = 1,
                .decode = {{3, 10}, {3, 11}},
                .samples = {{0, 3, 11}, {1, 3, 12}},
                .new_slots = {{.slot = 1},
                              {.slot = 3, .end = 40, .prompt = {5, 6}, .output = {7}},
                              {.slot = 2, .end = 9, .prompt = {8}}}};
  StepDescription d = describe(plan, {2, DecodeGraphs::Mode::kStationary});
  CHECK(d.graph.num_drafts == 1);
  REQUIRE(d.starts.size() == 2);
  CHECK(list_of(d.start_tokens) == Words{5, 6, 7, 8});
  CHECK(d.starts[0].slot == 3);
  CHECK(d.starts[0].num_tokens == 3);
  CHECK(d.starts[0].end == 40);
  CHECK(d.starts[1].first_token == 3);
  CHECK(d.ids == d.inputs.ids);
  CHECK(d.positions == d.inputs.batch.positions);
  CHECK(d.counts.empty());
}
