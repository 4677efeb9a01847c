#include "runtime/grid_planner.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "kernels/check.h"

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
      CHECK(answers[0].tokens_per_s >= 0.9 * best);
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
  auto answers = plan_grids(seven(), h200(), question(8));
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
  slow.links.bytes_per_s /= 8;  // gathering takes longer to pay
  int64_t later = gather_tokens(large(), slow, grid, DType::bf16, 1 << 17);
  CHECK((later == 0 || later > from));
  CHECK(gather_tokens(large(), h200(), GridShape{.y = 8}, DType::bf16, 1 << 17) == 0);
}

TEST_CASE("planner: predictions are near what was measured") {
  auto one = plan_grids(seven(), h200(), question(1))[0];
  CHECK(one.decode_one_s > 3.5e-3);  // the floor of reading the weights is 3.2 ms
  CHECK(one.decode_one_s < 5.0e-3);
  CHECK(one.prefill_s > 0.14);  // the floor of 8,192 tokens is 0.135 s
  CHECK(one.prefill_s < 0.25);
}

TEST_CASE("planner: illegal grids have reasons; the plan in words has all of it") {
  auto illegal = illegal_grids(seven(), 8);
  CHECK(!illegal.empty());
  for (const IllegalGrid& g : illegal) CHECK(g.reason == why_illegal(seven(), g.grid).value());
  std::string text = describe_plan(seven(), "7B", h200(), question(8));
  for (const char* part : {"7B in bfloat16 on 8 x h200", "choice: ", "not possible:", "KV tokens"})
    CHECK(text.find(part) != std::string::npos);
}

TEST_CASE("costs: sums take the faster way, and nothing between fewer than two") {
  LinkRates links = h200().links;
  CHECK(links.all_reduce_s(1, 1e6) == 0);
  CHECK(links.exchange_s(1, 1e6) == 0);
  CHECK(links.all_reduce_s(2, 3e3) == doctest::Approx(2.8e-6).epsilon(0.05));
  CHECK(links.all_reduce_s(4, 460e3) == doctest::Approx(12e-6).epsilon(0.1));
  CHECK(links.all_reduce_s(4, 1e9) == doctest::Approx(1.5e9 / 370e9).epsilon(0.01));
  CHECK(known_machine("NVIDIA H200")->name == "h200");
  CHECK(!known_machine("abacus"));
}
