#include "runtime/engine/plan_check.h"

#include <doctest/doctest.h>

#include <functional>

#include "tests/support/errors.h"

using namespace ll;
using namespace ll::test;

namespace {

constexpr PlanLimits kLimits = {.max_num_seqs = 4,
                                .max_num_batched_tokens = 8,
                                .max_length = 100,
                                .num_pages = 10,
                                .page_span = 16,
                                .vocab = 50};

// One of everything, at the limits.
StepPlan full() {
  StepPlan p{.id = 3};
  p.decode = {{3, 99}, {2, 0}};
  p.chunks = {{.slot = 1, .first_position = 94, .tokens = {0, 1, 2, 3, 4, 49}, .next_token = -1}};
  p.samples = {{7, 3, 100}};
  p.bans = {{0, 49, -1}};
  StepPlan::NewSlot start{.slot = 3, .allowed = {1}, .prompt = {49}, .output = {0}};
  start.sampling.num_logprobs = 20;
  start.sampling.banned_before = {49};
  start.sampling.logit_bias = {{49, 1.0f}};
  p.new_slots = {start};
  p.page_deltas = {{3, 6, 9}};
  p.page_copies = {{9, 0, 16}};
  p.prefix_groups = {{0, 2, 0, 7, -1}, {0, 1, 6, 1, 0}};
  return p;
}

std::string fault(const std::function<void(StepPlan&)>& change) {
  StepPlan p = full();
  change(p);
  return error_of([&] { check_plan(p, kLimits); });
}

}  // namespace

TEST_CASE("plan check: a plan at the limits is within them") {
  CHECK(fault([](StepPlan&) {}).empty());
  CHECK(error_of([] { check_plan({}, kLimits); }).empty());
}

TEST_CASE("plan check: whatever is outside is named with its step") {
  CHECK(fault([](StepPlan& p) { p.decode[0].slot = 4; }) == "step 3: a slot: 4 is outside 0 to 3");
  CHECK(contains(fault([](StepPlan& p) { p.decode[0].slot = -1; }), "a slot"));
  CHECK(contains(fault([](StepPlan& p) { p.decode[0].position = 100; }), "a position"));
  CHECK(contains(fault([](StepPlan& p) { p.decode.resize(5); }), "rows: 11"));
  CHECK(contains(fault([](StepPlan& p) { p.chunks.clear(), p.decode.resize(5); }), "decode rows"));
  CHECK(contains(fault([](StepPlan& p) { p.chunks[0].first_position = 95; }), "a position"));
  CHECK(contains(fault([](StepPlan& p) { p.chunks[0].first_position = INT32_MAX; }), "a position"));
  CHECK(contains(fault([](StepPlan& p) { p.chunks[0].tokens.clear(); }), "a chunk's tokens"));
  CHECK(contains(fault([](StepPlan& p) { p.chunks[0].tokens[0] = 50; }), "a token"));
  CHECK(contains(fault([](StepPlan& p) { p.chunks[0].next_token = -2; }), "a token"));
  CHECK(contains(fault([](StepPlan& p) { p.chunks[0].num_prompt_logprobs = 21; }), "logprobs"));
  CHECK(contains(fault([](StepPlan& p) { p.samples[0].row = 8; }), "a sample's row"));
  CHECK(contains(fault([](StepPlan& p) { p.samples[0].slot = 4; }), "a slot"));
  CHECK(contains(fault([](StepPlan& p) { p.samples[0].position = 101; }), "a sample's position"));
  CHECK(contains(fault([](StepPlan& p) { p.samples.resize(5); }), "samples"));
  CHECK(contains(fault([](StepPlan& p) { p.bans[0].sample = 1; }), "a ban's sample"));
  CHECK(contains(fault([](StepPlan& p) { p.bans[0].token = -1; }), "a token"));
  CHECK(contains(fault([](StepPlan& p) { p.bans[0].after = 50; }), "a ban's token"));
  CHECK(contains(fault([](StepPlan& p) { p.new_slots[0].slot = 9; }), "a slot"));
  CHECK(
      contains(fault([](StepPlan& p) { p.new_slots[0].sampling.num_logprobs = 21; }), "logprobs"));
  CHECK(contains(fault([](StepPlan& p) { p.new_slots[0].sampling.banned_before = {-1}; }),
                 "a token"));
  CHECK(contains(fault([](StepPlan& p) {
                   p.new_slots[0].sampling.logit_bias = {{50, 0.0f}};
                 }),
                 "a token"));
  CHECK(contains(fault([](StepPlan& p) { p.new_slots[0].output = {50}; }), "a token"));
  CHECK(contains(fault([](StepPlan& p) { p.page_deltas[0].index = 7; }), "a place in a page"));
  CHECK(contains(fault([](StepPlan& p) { p.page_deltas[0].page = 10; }), "a page"));
  CHECK(contains(fault([](StepPlan& p) { p.page_copies[0].target = -1; }), "a page"));
  CHECK(contains(fault([](StepPlan& p) { p.page_copies[0].num_rows = 17; }), "a copy's rows"));
  CHECK(contains(fault([](StepPlan& p) { p.prefix_groups[0].num_rows = 3; }), "a group's rows"));
  CHECK(contains(fault([](StepPlan& p) { p.prefix_groups[0].num_pages = 8; }), "a group's pages"));
  CHECK(contains(fault([](StepPlan& p) { p.prefix_groups[1].parent = 1; }), "a group's parent"));
  CHECK(contains(fault([](StepPlan& p) { p.kind = StepPlan::Kind::kStop; }), "no plan of a step"));
}

TEST_CASE("plan check: rows of drafts stand beside each other, each with its sample") {
  constexpr PlanLimits kDrafting = {.max_num_seqs = 2,
                                    .max_num_batched_tokens = 8,
                                    .max_drafts = 2,
                                    .max_draft_rows = 4,
                                    .max_length = 100,
                                    .num_pages = 10,
                                    .page_span = 16,
                                    .vocab = 50};
  auto fault_of = [&](const std::function<void(StepPlan&)>& change) {
    StepPlan p{.id = 3, .num_drafts = 2};
    for (int32_t row = 0; row < 6; ++row) {
      p.decode.push_back({row / 3, 9});
      p.samples.push_back({row, row / 3, 10});
    }
    p.new_slots = {{.slot = 1, .end = 100, .prompt = std::vector<int32_t>(101, 1)}};
    change(p);
    return error_of([&] { check_plan(p, kDrafting); });
  };
  CHECK(fault_of([](StepPlan&) {}).empty());
  CHECK(contains(fault_of([](StepPlan& p) { p.num_drafts = 3; }), "behind whole sequences"));
  CHECK(contains(fault_of([](StepPlan& p) { p.num_drafts = 5; }), "a row's slot"));
  CHECK(contains(fault_of([](StepPlan& p) { p.decode[4].slot = 0; }), "a row's slot"));
  CHECK(contains(fault_of([](StepPlan& p) { p.samples[4].slot = 0; }), "a sample's slot"));
  CHECK(contains(fault_of([](StepPlan& p) { p.samples[4].row = 5; }), "a sample's row"));
  CHECK(contains(fault_of([](StepPlan& p) { p.samples.pop_back(); }), "samples"));
  CHECK(contains(fault_of([](StepPlan& p) { p.decode.push_back({1, 9}); }), "decode rows: 7"));
  CHECK(contains(fault_of([](StepPlan& p) { p.new_slots[0].end = 101; }), "a sequence's end"));
  CHECK(
      contains(fault_of([](StepPlan& p) { p.new_slots[0].output = {1}; }), "a sequence's tokens"));
  CHECK(contains(fault_of([](StepPlan& p) { p.new_slots[0].prompt.clear(); }),
                 "a sequence's tokens"));
}
