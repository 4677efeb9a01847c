#include "runtime/replicas/replica_pool.h"

#include <doctest/doctest.h>

#include "tests/support/engine_oracle.h"
#include "tests/unit/model/text/tokenizer_data.h"

using namespace ll;
using namespace ll::test;

namespace {

// Every rank is a replica of its own.
struct PoolRig {
  using Desk = RigDesk<ReplicaPool>;
  using Drive = std::function<void(ReplicaPool&, Desk&)>;

  // The outcome on rank 0, elsewhere an empty one.
  static Outcome run(const EngineSetup& setup, const Drive& drive) {
    EngineSetup one = setup;
    one.grid.reset();
    RunnerRig rig(one, MpiGroup(), {});
    Watchdog watchdog(std::chrono::seconds(120), "test");
    Engine engine({.max_num_seqs = setup.max_num_seqs,
                   .max_num_batched_tokens = setup.max_num_batched_tokens,
                   .num_pages = setup.num_pages,
                   .page_span = setup.page_size},
                  setup.async, rig.runner, rig.grid.replica(), watchdog);
    PoolOptions options{.max_num_seqs = setup.max_num_seqs,
                        .step_timeout = std::chrono::seconds(60)};
    Outcome outcome;
    if (!leads()) {
      run_replica(engine, mpi().world(), options, "a rank");
      return outcome;
    }
    ReplicaPool pool(engine, mpi().world(), options);
    Desk desk(pool, outcome, setup.tokenizer);
    drive(pool, desk);
    CHECK(!pool.has_work());
    CHECK(!desk.has_open());
    outcome.stats = pool.stats();
    return outcome;
  }
};

void run_to_end(ReplicaPool& pool, PoolRig::Desk& desk) {
  while (pool.has_work()) desk.step();
}

Requests make_requests() {
  Requests requests;
  for (int32_t i = 0; i < 40; ++i) {
    requests.push_back(sampled_request(i, make_prompt(5 + i % 9, i % 6), 4 + i % 11));
    if (i % 5 == 0) requests.back()->params.n = 3;
    if (i % 4 == 0) requests.back()->params.logprobs = 2;
    if (i % 7 == 0) requests.back()->params.prompt_logprobs = 1;
  }
  return requests;
}

}  // namespace

TEST_CASE("replica pool: the answers of one engine, whoever gives them") {
  Requests requests = make_requests();
  for (int32_t max_num_seqs : {3, 8}) {
    EngineSetup setup{.max_num_seqs = max_num_seqs};
    int64_t samples = 0;
    Outcome got = PoolRig::run(setup, [&](ReplicaPool& pool, PoolRig::Desk& desk) {
      for (const auto& r : requests) desk.submit(*r);
      run_to_end(pool, desk);
      samples = pool.work().samples;
      CHECK(pool.busy_shares().size() ==
            (mpi().world().size() > 1 ? static_cast<size_t>(mpi().world().size()) : 0));
    });
    if (!leads()) continue;
    int64_t num_tokens = 0;
    for (const auto& [id, a] : got.answers) num_tokens += static_cast<int64_t>(a.tokens.size());
    CHECK(samples >= num_tokens);
    Outcome want = alone(setup, requests);
    CHECK(got.tokens() == want.tokens());
    CHECK(got.prompt_logprobs.size() == want.prompt_logprobs.size());
    for (const auto& [id, a] : want.answers) {
      CHECK(got.answers.at(id).finish_reason == a.finish_reason);
      CHECK(got.answers.at(id).logprobs.size() == a.logprobs.size());
    }
    CHECK(got.stats.prompt_tokens == want.stats.prompt_tokens);
  }
}

TEST_CASE("replica pool: sequences that stop strings end, requests that are cancelled") {
  Requests requests = make_requests();
  EngineSetup setup{.max_num_seqs = 4, .tokenizer = &tiny_docs()};
  auto is_stopped = [](int64_t id) { return id % 3 == 1; };
  for (const auto& r : requests)
    if (is_stopped(r->id)) draw_letters(*r, tiny_docs());
  Outcome want = leads() ? alone(setup, requests) : Outcome();
  for (auto& [id, a] :
       want.answers)  // each of the n answers ends at its second token, if not before
    if (is_stopped(id.request))
      requests[static_cast<size_t>(id.request)]->text.stop.push_back(
          text_of({a.tokens[0], a.tokens[1]}, tiny_docs()));
  Outcome got = PoolRig::run(setup, [&](ReplicaPool& pool, PoolRig::Desk& desk) {
    for (const auto& r : requests) desk.submit(*r);
    desk.cancel(39);  // waits
    for (int step = 0; step < 3; ++step) desk.step();
    for (int64_t id : {0, 2, 3, 5}) desk.cancel(id);  // running, given or waiting
    desk.cancel(12345);                               // never was
    pool.end({12345, 0});
    run_to_end(pool, desk);
  });
  if (!leads()) return;
  for (const auto& [id, a] : want.answers) {
    if (std::set<int64_t>{0, 2, 3, 5, 39}.contains(id.request)) continue;
    REQUIRE(got.answers.contains(id));
    auto tokens = a.tokens;
    if (is_stopped(id.request)) tokens.resize(2);
    CHECK(got.answers.at(id).tokens == tokens);
    CHECK(got.answers.at(id).finish_reason ==
          (is_stopped(id.request) ? FinishReason::kStop : a.finish_reason));
  }
}

TEST_CASE("replica pool: requests may come at any time, and what cannot fit is refused") {
  Requests requests = make_requests();
  EngineSetup setup{.max_num_seqs = 4};
  Outcome got = PoolRig::run(setup, [&](ReplicaPool& pool, PoolRig::Desk& desk) {
    CHECK_THROWS_AS(pool.check_fits(*greedy_request(99, make_prompt(9, 1), 100'000)), Error);
    size_t next = 0;
    while (next < requests.size() || pool.has_work()) {
      for (int i = 0; i < 2 && next < requests.size() && pool.wants_more(); ++i)
        desk.submit(*requests[next++]);
      desk.step();
    }
  });
  if (leads()) CHECK(got.tokens() == alone(setup, requests).tokens());
}
