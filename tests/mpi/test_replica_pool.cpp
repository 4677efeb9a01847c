#include "runtime/replicas/replica_pool.h"

#include <doctest/doctest.h>

#include "tests/support/engine_oracle.h"

using namespace ll;
using namespace ll::test;

namespace {

// Every rank is a replica of its own.
struct PoolRig {
  using Drive = std::function<void(ReplicaPool&, Outcome&)>;

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
    drive(pool, outcome);
    CHECK(!pool.has_work());
    outcome.stats = pool.stats();
    return outcome;
  }
};

void run_to_end(ReplicaPool& pool, Outcome& outcome, const Outcome::IsStopped& is_stopped = {}) {
  while (pool.has_work())
    for (SequenceId ended : outcome.take(pool.step(), is_stopped)) pool.end(ended);
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
    Outcome got = PoolRig::run(setup, [&](ReplicaPool& pool, Outcome& outcome) {
      for (const auto& r : requests) pool.submit(r);
      run_to_end(pool, outcome);
      int64_t num_tokens = 0;
      for (const auto& [id, a] : outcome.answers)
        num_tokens += static_cast<int64_t>(a.tokens.size());
      CHECK(pool.work().samples >= num_tokens);
      CHECK(pool.busy_shares().size() ==
            (mpi().world().size() > 1 ? static_cast<size_t>(mpi().world().size()) : 0));
    });
    if (!leads()) continue;
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

TEST_CASE("replica pool: sequences that are ended from outside, requests that are cancelled") {
  Requests requests = make_requests();
  EngineSetup setup{.max_num_seqs = 4};
  auto is_stopped = [](SequenceId s, const RawAnswer& a) {
    return s.request % 3 == 1 && a.tokens.size() == 2;
  };
  Outcome got = PoolRig::run(setup, [&](ReplicaPool& pool, Outcome& outcome) {
    for (const auto& r : requests) pool.submit(r);
    pool.cancel(39);  // waits
    for (int step = 0; step < 3; ++step)
      for (SequenceId ended : outcome.take(pool.step(), is_stopped)) pool.end(ended);
    for (int64_t id : {0, 2, 3, 5}) pool.cancel(id);  // running, given or waiting
    pool.cancel(12345);                               // never was
    pool.end({12345, 0});
    run_to_end(pool, outcome, is_stopped);
  });
  if (!leads()) return;
  Outcome want = alone(setup, requests);
  for (const auto& [id, a] : want.answers) {
    bool is_cancelled = id.request == 39 || id.request == 0 || id.request == 2 || id.request == 3 ||
                        id.request == 5;
    if (is_cancelled) continue;
    REQUIRE(got.answers.contains(id));
    auto tokens = a.tokens;
    if (id.request % 3 == 1) tokens.resize(2);
    CHECK(got.answers.at(id).tokens == tokens);
  }
}

TEST_CASE("replica pool: requests may come at any time, and what cannot fit is refused") {
  Requests requests = make_requests();
  EngineSetup setup{.max_num_seqs = 4};
  Outcome got = PoolRig::run(setup, [&](ReplicaPool& pool, Outcome& outcome) {
    CHECK_THROWS_AS(pool.check_fits(*greedy_request(99, make_prompt(9, 1), 100'000)), Error);
    size_t next = 0;
    while (next < requests.size() || pool.has_work()) {
      for (int i = 0; i < 2 && next < requests.size() && pool.wants_more(); ++i)
        pool.submit(requests[next++]);
      outcome.take(pool.step(), {});
    }
  });
  if (leads()) CHECK(got.tokens() == alone(setup, requests).tokens());
}
