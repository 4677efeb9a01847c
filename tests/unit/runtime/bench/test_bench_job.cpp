#include "runtime/bench/bench_job.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <tuple>

#include "tests/support/engine_rig.h"
#include "tests/support/errors.h"

using namespace ll;
using namespace ll::test;
using Json = nlohmann::ordered_json;
using Kind = EngineConfig::Bench::Kind;

namespace {

// Its clock counts the engine's steps, a second each.
struct Bench {
  EngineConfig config;
  EngineSetup setup;

  explicit Bench(Kind kind) {
    config.bench.kind = kind;
    config.bench.batch_size = 4;
    config.bench.data.num_prompts = 6;
    config.bench.data.input_len = 15;
    config.bench.data.output_len = 5;
    config.scheduler.max_num_seqs = setup.max_num_seqs;
  }

  struct Outcome {
    Json json;
    StepWork warm, totals;  // when the warm-up was over, and at the end
    SchedulerStats stats;

    StepWork measured() const { return totals - warm; }
  };
  Outcome run() const {
    RunnerRig rig(setup, MpiGroup(), {});
    Watchdog watchdog(std::chrono::seconds(60), "test");
    const ReplicaPool* running = nullptr;
    auto now = [&] {
      return BenchClock::time_point(std::chrono::seconds(running ? running->work().steps : 0));
    };
    BenchJob job(config, {.model = bench_model(setup.config, "tiny", setup.dtype, 1),
                          .rates = {1e9, 1e9},
                          .num_kv_positions = setup.num_pages * setup.page_size,
                          .max_length = setup.max_length,
                          .now = now});
    Engine engine({.max_num_seqs = setup.max_num_seqs,
                   .max_num_batched_tokens = setup.max_num_batched_tokens,
                   .num_pages = setup.num_pages,
                   .page_span = setup.page_size},
                  setup.async, rig.runner, rig.grid.replica(), watchdog);
    ReplicaPool pool(engine);
    running = &pool;
    Outcome outcome;
    if (job.warms_up()) job.warm_up(pool);
    BenchReport report = job.run(pool, [&] { outcome.warm = pool.work(); });
    outcome.json = Json::parse(report.json);
    outcome.totals = pool.work();
    outcome.stats = pool.stats();
    return outcome;
  }
};

}  // namespace

TEST_CASE("bench: one batch is one step of prompts and then a step a token") {
  Bench bench(Kind::kOneBatch);
  for (bool async : {true, false}) {
    bench.setup.async = async;
    auto o = bench.run();
    StepWork t = o.measured();
    CHECK(t.steps == 5);
    CHECK(t.rows == 4 * (15 + 4));
    CHECK(t.samples == 4 * 5);
    CHECK(t.sequences == 4 * 5);
    CHECK(t.kv_positions == 4 * (15 + 16 + 17 + 18));
    CHECK(t.attention_pairs == 4 * (15 * 16 / 2 + 16 + 17 + 18 + 19));
    CHECK(o.stats.cached_tokens < 4);  // no prompt twice, some begin alike by chance
    double prefill = o.json["prefill_latency"], step = o.json["median_decode_latency"],
           total = o.json["total_latency"];
    CHECK(prefill > 0);
    CHECK(step > 0);
    CHECK(prefill + step < total);
  }
}

TEST_CASE("bench: the first token counts when the last sequence has its") {
  Bench bench(Kind::kOneBatch);
  // The prompts take four steps, 15 + 5, 10 + 9, 6 + 12 and 3 tokens beside the first answers'.
  bench.setup.max_num_batched_tokens = 20;
  bench.setup.async = false;
  bench.config.bench.data.output_len = 20;
  auto o = bench.run();
  CHECK(o.json["prefill_latency"] == 4);
  CHECK(o.json["total_latency"] == 4 + 19);
}

TEST_CASE("bench: requests draw as they are told to") {
  SamplingParams p = params_of({.temperature = 0.7,
                                .top_p = 0.8,
                                .min_p = 0.1,
                                .top_k = 20,
                                .repetition_penalty = 1.05,
                                .presence_penalty = 0.2,
                                .frequency_penalty = 0.3,
                                .logprobs = 5});
  CHECK(std::tuple(p.temperature, p.top_p, p.min_p, p.top_k) == std::tuple(0.7f, 0.8f, 0.1f, 20));
  CHECK(std::tuple(p.repetition_penalty, p.presence_penalty, p.frequency_penalty) ==
        std::tuple(1.05f, 0.2f, 0.3f));
  CHECK(p.logprobs == 5);
  CHECK(p.ignore_eos);
  CHECK(static_cast<const Draw&>(params_of({})) == Draw{});
  CHECK(params_of({.temperature = 1, .top_p = 0}).top_k == 1);  // the likeliest alone
  CHECK(params_of({}).logprobs == -1);
}

TEST_CASE("bench: a batch must fit, and a request its positions") {
  Bench bench(Kind::kOneBatch);
  bench.setup.num_pages = 4;
  CHECK(error_of([&] { bench.run(); }) ==
        "a batch of 4 x (15 + 5) tokens needs 76 KV positions, but there are 64; lower "
        "bench.batch_size or the lengths, or raise kv_cache.memory_bytes");
  Bench long_one(Kind::kThroughput);
  long_one.config.bench.data.input_len = 396;
  CHECK(error_of([&] { long_one.run(); }) ==
        "a prompt of 396 tokens and 5 of output exceed the 400 positions of a sequence");
}

TEST_CASE("bench: latency runs the batch as often as it is told, with other prompts each time") {
  Bench bench(Kind::kLatency);
  bench.config.bench.num_iters = 3;
  auto o = bench.run();
  CHECK(o.json["latencies"].size() == 3);
  CHECK(o.measured().samples == 3 * 4 * 5);
  CHECK(o.stats.cached_tokens < 4);
}

TEST_CASE("bench: throughput counts tokens, and what the cache gave of a shared prefix") {
  Bench bench(Kind::kThroughput);
  bench.config.bench.data.kind = DatasetOptions::Kind::kSharedPrefix;
  bench.config.bench.data.prefix_len = 32;
  bench.setup.max_num_batched_tokens = 48;
  auto o = bench.run();
  CHECK(o.json["num_requests"] == 6);
  CHECK(o.json["total_input_tokens"] == 6 * (32 + 15));
  CHECK(o.json["total_output_tokens"] == 6 * 5);
  CHECK(o.json["cached_tokens"] == 5 * 32);
  CHECK(o.json["num_steps"] == o.measured().steps);
}

TEST_CASE("bench: throughput of several answers of a prompt") {
  Bench bench(Kind::kThroughput);
  bench.config.bench.data.n = 3;
  auto o = bench.run();
  CHECK(o.json["num_requests"] == 6);
  CHECK(o.json["total_input_tokens"] == 6 * 15);
  CHECK(o.json["total_output_tokens"] == 6 * 3 * 5);
}

TEST_CASE("bench: startup runs one token") {
  auto o = Bench(Kind::kStartup).run();
  CHECK(o.totals.samples == 1);
  CHECK(o.json["first_token_time"] >= o.json["ready_time"]);
  CHECK(o.json["ready_time"] > 0);
}
