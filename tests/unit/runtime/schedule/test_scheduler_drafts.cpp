// Steps of several tokens a sequence, of which some stand.
#include <doctest/doctest.h>

#include <random>

#include "runtime/schedule/scheduler.h"
#include "tests/unit/runtime/schedule/scheduler_simulation.h"

using namespace ll;
using namespace ll::test;

TEST_CASE("answers do not depend on speculation") {
  std::mt19937 rng(8);
  int64_t num_accepted = 0, num_preemptions = 0;
  for (int round = 0; round < 200; ++round) {
    auto page_span = static_cast<int64_t>(1 + rng() % 8);
    SchedulerOptions o{
        .max_num_seqs = static_cast<int32_t>(1 + rng() % 6),
        .max_num_batched_tokens = 24,
        .radix = rng() % 4 != 0,
        .num_pages = (rng() % 2 ? 100 : 600) / page_span,
        .page_span = page_span,
        .gather_tokens = rng() % 4 == 0 ? 5 : 0,
        .prefix_groups = PrefixRules{.min_rows = 2, .min_pages = 1},
        .drafts = {.max_drafts = static_cast<int32_t>(1 + rng() % 8), .is_adaptive = false}};
    CAPTURE(round);
    Simulation sim(o, rng() % 2, true);
    for (int64_t id = 0; id < 20; ++id) {
      auto request = make_request(id, random_prompt(rng, 50), static_cast<int32_t>(1 + rng() % 40),
                                  id % 5 == 0 ? 3 : 1);
      if (id % 9 == 4 && round % 3 == 0)
        request->params.bad_words = bad_words_of(static_cast<int32_t>(id));
      request->params.ignore_eos = id % 4 == 1;
      sim.add(request);
    }
    sim.run_to_end();
    SchedulerStats stats = sim.scheduler.stats();
    CHECK(stats.kv_usage == 0);
    CHECK(stats.accepted_tokens <= stats.draft_tokens);
    num_accepted += stats.accepted_tokens;
    num_preemptions += stats.num_preemptions;
  }
  CHECK(num_accepted > 10'000);
  CHECK(num_preemptions > 50);
}
