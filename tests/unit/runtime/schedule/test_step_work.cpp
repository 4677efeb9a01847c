#include "runtime/schedule/step_work.h"

#include <doctest/doctest.h>

using namespace ll;

TEST_CASE("work of a plan: rows, samples, and the pairs of queries and positions") {
  StepPlan plan;
  CHECK(work_of(plan) == StepWork{});
  plan.decode = {{.slot = 0, .position = 9}, {.slot = 1, .position = 4}};
  plan.chunks = {{.slot = 2, .first_position = 3, .tokens = {5, 6, 7}}};
  plan.samples.resize(2);
  CHECK(work_of(plan) == StepWork{.steps = 1,
                                  .rows = 5,
                                  .samples = 2,
                                  .sequences = 3,
                                  .kv_positions = 9 + 4 + 3,
                                  .attention_pairs = 10 + 5 + (4 + 5 + 6),
                                  .prompt_pairs = 4 + 5 + 6});
}

TEST_CASE("work of steps in words is that of their plans") {
  StepPlan decode, prefill;
  for (int32_t s = 0; s < 3; ++s) {
    decode.decode.push_back({.slot = s, .position = 100});
    prefill.chunks.push_back({.slot = s, .tokens = {1, 2, 3, 4}});
  }
  decode.samples.resize(3);
  prefill.samples.resize(3);
  CHECK(StepWork::decode(3, 100) == work_of(decode));
  CHECK(StepWork::prefill(3, 4) == work_of(prefill));
  StepWork both = work_of(decode);
  both += work_of(prefill);
  CHECK(both.steps == 2);
  CHECK(both.prompt_pairs == 3 * 10);
  CHECK(both - StepWork::decode(3, 100) == StepWork::prefill(3, 4));
}
