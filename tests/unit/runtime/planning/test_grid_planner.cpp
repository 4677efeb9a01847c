#include "runtime/planning/grid_planner.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "base/check.h"

using namespace ll;

namespace {

// Heads, KV heads, head dim, FFN, layers, vocabulary.
ModelConfig qwen(int64_t heads, int64_t kv, int64_t dim, int64_t ffn, int64_t layers, bool tied) {
  ModelConfig c;
  c.num_heads = heads;
  c.num_kv_heads = kv;
  c.head_dim = dim;
  c.hidden_size = heads * dim;
  c.intermediate_size = ffn;
  c.num_layers = layers;
  c.vocab_size = 151936;
  c.max_position = 32768;
  c.tie_word_embeddings = tied;
  return c;
}
ModelConfig small() { return qwen(14, 2, 64, 4864, 24, true); }
ModelConfig seven() { return qwen(28, 4, 128, 18944, 28, false); }
ModelConfig large() { return qwen(64, 8, 128, 29568, 80, false); }

GridQuestion question(int ranks) {
  GridQuestion q{.num_ranks = ranks};
  q.limits.max_length = 32768;
  q.memory.available = 127'000'000'000;  // nine tenths of an H200's
  return q;
}

MachineRates h200() { return known_machine("h200").value(); }

}  // namespace

TEST_CASE("planner: the choice is the best of all, or a simpler one that is nearly as good") {
  for (const ModelConfig& config : {small(), seven(), large()})
    for (int ranks : {1, 2, 4, 8}) {
      auto answers = plan_grids(config, h200(), question(ranks));
      REQUIRE(!answers.empty());
      if (!answers[0].problem.empty()) continue;
      double best = 0;
      for (const GridAnswer& a : answers) {
        CHECK(!why_illegal(config, a.grid));
        CHECK(a.grid.num_ranks() == ranks);
        if (a.problem.empty()) best = std::max(best, a.tokens_per_s);
      }
      CHECK(answers[0].tokens_per_s >= 0.95 * best);
      CHECK(answers[0].grid == best_grid(config, h200(), question(ranks)));
    }
}

TEST_CASE("planner: splitting the hidden dimension is never chosen on one host with NVLink") {
  for (const ModelConfig& config : {small(), seven(), large()})
    for (int ranks : {2, 4, 8})
      for (int64_t sequences : {1, 32, 256}) {
        GridQuestion q = question(ranks);
        q.sequences = sequences;
        CHECK(plan_grids(config, h200(), q)[0].grid.x == 1);
      }
}

TEST_CASE("planner: many small answers are best served by replicas of a small model") {
  CHECK(best_grid(small(), h200(), question(4)).dp == 4);
  GridQuestion alone = question(4);
  alone.may_replicate = false;
  CHECK(best_grid(small(), h200(), alone).dp == 1);
  CHECK(best_grid(large(), h200(), question(8)).dp < 8);  // it does not fit
}

TEST_CASE("planner: head counts do not limit the ranks") {
  GridQuestion q = question(8);
  q.limits.max_num_seqs = 1024;  // enough to use all pages
  auto answers = plan_grids(seven(), h200(), q);
  auto shared = std::find_if(answers.begin(), answers.end(), [](const GridAnswer& a) {
    return a.grid == GridShape{.y = 8, .heads = 4};
  });
  auto plain = std::find_if(answers.begin(), answers.end(),
                            [](const GridAnswer& a) { return a.grid == GridShape{.y = 8}; });
  REQUIRE(shared != answers.end());
  REQUIRE(plain != answers.end());
  CHECK(shared->kv_tokens > 19 * plain->kv_tokens / 10);  // what is replicated there is shared here
}

TEST_CASE("planner: what does not fit is said with its numbers, and comes last") {
  auto answers = plan_grids(large(), h200(), question(1));
  REQUIRE(answers.size() == 1);
  CHECK(answers[0].problem.find("needs 1") == 0);  // 14x GB
  answers = plan_grids(large(), h200(), question(2));
  bool seen = false;
  for (const GridAnswer& a : answers) {
    if (!a.problem.empty()) seen = true;
    if (seen) CHECK(!a.problem.empty());
  }
  CHECK(seen);
}

TEST_CASE("planner: weights are gathered from some number of tokens on, and not below it") {
  GridShape grid{.y = 2, .z = 4};
  int64_t from = gather_tokens(large(), h200(), grid, DType::bf16, 1 << 17);
  CHECK(from > 500);
  CHECK(from < 20000);
  MachineRates slow = h200();
  for (ExchangeTimes& e : slow.links.by_members)  // gathering takes longer to pay
    e.gather = e.gather.stretched(1, 8);
  int64_t later = gather_tokens(large(), slow, grid, DType::bf16, 1 << 17);
  CHECK((later == 0 || later > from));
  CHECK(gather_tokens(large(), h200(), GridShape{.y = 8}, DType::bf16, 1 << 17) == 0);
}

// perf/RESULTS.md, random weights.
TEST_CASE("planner: predictions are within a fifth of what was measured on H200s") {
  struct Measured {
    ModelConfig config;
    GridShape grid;
    StepWork work;
    double seconds;
  };
  ModelConfig middle = qwen(12, 2, 128, 8960, 28, true);
  StepWork prefill = StepWork::prefill(8, 2048), some = StepWork::decode(40, 900),
           one = StepWork::decode(1, 728), many = StepWork::decode(64, 1024);
  for (const Measured& m : {Measured{small(), {}, prefill, 26.4e-3},
                            {middle, {}, prefill, 80.1e-3},
                            {seven(), {}, prefill, 366e-3},
                            {middle, {.y = 2}, prefill, 52e-3},
                            {seven(), {.y = 2}, prefill, 200e-3},
                            {small(), {}, one, 1 / 1953.0},
                            {middle, {}, one, 1 / 910.0},
                            {seven(), {}, one, 1 / 277.0},
                            {middle, {.y = 2}, one, 1 / 937.0},
                            {seven(), {.y = 2}, one, 1 / 398.0},
                            {middle, {}, some, 1.90e-3},
                            {seven(), {}, some, 5.00e-3},
                            {seven(), {.y = 2}, StepWork::decode(8, 2048), 3.12e-3},
                            {seven(), {.x = 2}, StepWork::decode(1, 1024), 4.56e-3},
                            {seven(), {.x = 2}, StepWork::prefill(8, 1024), 163e-3},
                            {seven(), {.y = 2, .heads = 1}, many, 4.35e-3},
                            {middle, {.y = 2, .heads = 1}, many, 2.25e-3}}) {
    CAPTURE(m.config.hidden_size);
    CAPTURE(m.grid.str());
    CAPTURE(m.work.rows);
    double expected = predict_step(m.config, h200(), m.grid, DType::bf16, m.work, false);
    CHECK(expected > 0.8 * m.seconds);
    CHECK(expected < 1.2 * m.seconds);
  }
}

TEST_CASE("planner: illegal grids have reasons; the plan in words has all of it") {
  auto illegal = illegal_grids(seven(), 8);
  CHECK(!illegal.empty());
  for (const IllegalGrid& g : illegal) CHECK(g.reason == why_illegal(seven(), g.grid).value());
  std::string text = describe_plan(seven(), "7B", h200(), question(8));
  for (const char* part : {"7B in bfloat16 on 8 x h200", "choice: ", "not possible:", "KV tokens"})
    CHECK(text.find(part) != std::string::npos);
}

TEST_CASE("costs: exchanges of few and of many rows, and none between fewer than two") {
  LinkTimes links = h200().links;
  CHECK(links.sum_s(1, 1e6) == 0);
  CHECK(links.gather_s(1, 1e6) == 0);
  CHECK(links.sum_s(2, 0) == 0);
  CHECK(links.sum_s(2, 3072) == doctest::Approx(6.5e-6));
  CHECK(links.sum_and_norm_s(2, 1, 3072) == doctest::Approx(3.0e-6));
  CHECK(links.sum_and_norm_s(2, 64, 458752) == doctest::Approx(6.4e-6));
  CHECK(links.sum_and_norm_s(2, 65, 458752) == doctest::Approx(11.6e-6));
  CHECK(known_machine("NVIDIA H200")->name == "h200");
  CHECK(!known_machine("abacus"));
}
