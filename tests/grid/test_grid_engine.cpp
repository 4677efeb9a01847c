// Whole engines on grids: what requests ask for is what they get, whatever runs beside them, and
// whichever mode the steps run in.
#include "base/numbers.h"
#include "tests/support/engine_oracle.h"
#include "tests/support/grid_models.h"

using namespace ll;
using namespace ll::test;

namespace {

// Ragged prompts of which several share a beginning; greedy and sampled, forks, logprobs.
Requests mixed_requests() {
  Requests list;
  for (int32_t i = 0; i < 10; ++i) {
    auto prompt = make_prompt(5 + 11 * (i % 4), i % 2);
    int32_t count = 5 + 3 * i;
    auto r = i % 3 == 0 ? greedy_request(i, prompt, count) : sampled_request(i, prompt, count);
    if (i % 4 == 1) r->params.top_k = 20;
    if (i % 5 == 2) r->params.top_p = 0.7f;
    if (i == 4) r->params.n = 3;
    if (i == 6) r->params.logprobs = 2, r->params.prompt_logprobs = 2;
    if (i == 8) r->params.repetition_penalty = 1.3f;
    list.push_back(std::move(r));
  }
  return list;
}

std::vector<GridShape> engine_grids(const ModelConfig& config) {
  std::vector<GridShape> list{{.x = 2},
                              {.x = 4},
                              {.x = 2, .y = 2},
                              {.y = 4, .heads = 1},
                              {.y = 4, .heads = 2},
                              {.y = 2, .z = 2},
                              {.y = 2, .z = 2, .heads = 2},
                              {.y = 1, .z = 4, .heads = 1},
                              {.x = 2, .y = 4, .heads = 2},
                              {.y = 8, .heads = 2},
                              {.x = 2, .y = 2, .z = 2},
                              {.x = 2, .y = 2, .z = 2, .heads = 2},
                              {.x = 4, .y = 4, .heads = 2},
                              {.x = 2, .y = 2, .z = 4, .heads = 2},
                              {.y = 4, .z = 2, .heads = 4}};
  std::erase_if(list, [&](const GridShape& g) {
    return g.num_ranks() > mpi().world().size() || why_illegal(config, g).has_value();
  });
  return list;
}

// One rank's answers, computed on the ranks that lead a grid.
const Outcome& wanted(const EngineSetup& setup, const Requests& requests) {
  static const Outcome want = alone(setup, requests);
  return want;
}

void check_same(const Outcome& got, const Outcome& want) {
  CHECK(got.tokens() == want.tokens());
  const auto &scored = got.answer(6).logprobs, &expected = want.answer(6).logprobs;
  REQUIRE(scored.size() == expected.size());
  for (size_t i = 0; i < scored.size(); ++i)
    CHECK(std::abs(scored[i].logprob - expected[i].logprob) < 1e-4);
  const auto &prompt = got.prompt_logprobs.at(6), &all = want.prompt_logprobs.at(6);
  REQUIRE(prompt.size() == all.size());
  for (size_t i = 0; i < prompt.size(); ++i)
    CHECK(std::abs(prompt[i].logprob - all[i].logprob) < 1e-4);
}

struct Variant {
  std::string what;
  std::function<void(EngineSetup&)> change;
};

// Positions of KV memory; a page stands for more of them where ranks share positions.
void give_positions(EngineSetup& s, const GridShape& grid, int64_t positions) {
  s.page_size = 1;
  int64_t span = s.page_size * grid.kv_parts();
  s.num_pages = ceil_div(positions, span);
}

EngineSetup plain_setup() {
  EngineSetup setup{.config = grid_config(8, 4, true)};
  setup.page_size = kGridPageSize;
  setup.num_pages = 400;
  return setup;
}

}  // namespace

TEST_CASE("grid engine: any grid gives one rank's answers") {
  EngineSetup plain = plain_setup();
  on_each_grid(engine_grids(plain.config), [&](const MpiGroup& group, const GridShape& grid) {
    CAPTURE(grid.str());
    std::vector<Variant> variants{
        {"ample", [](EngineSetup&) {}},
        {"prompts in pieces", [](EngineSetup& s) { s.max_num_batched_tokens = 16; }},
        {"large steps gather", [](EngineSetup& s) { s.gather_tokens = 9; }},
        {"all steps gather, no cache",
         [](EngineSetup& s) { s.gather_tokens = 1, s.radix = false; }},
        {"little memory",
         [&](EngineSetup& s) { give_positions(s, grid, 128), s.gather_tokens = 12; }},
        {"less memory", [&](EngineSetup& s) { give_positions(s, grid, 96); }},
        {"least memory", [&](EngineSetup& s) { give_positions(s, grid, 75); }}};
    int64_t preemptions = 0;
    for (const Variant& v : variants) {
      CAPTURE(v.what);
      EngineSetup setup = plain;
      setup.grid = grid;
      v.change(setup);
      Outcome got = run_engine(setup, group, mixed_requests());
      if (group.rank() > 0) continue;
      check_same(got, wanted(plain, mixed_requests()));
      CHECK(got.stats.kv_usage == 0);
      preemptions += got.stats.num_preemptions;
      if (setup.radix) CHECK(got.stats.cached_tokens > 0);
    }
    if (group.rank() == 0) CHECK(preemptions > 0);
  });
}

TEST_CASE("grid engine: the shapes of Qwen2.5 on every number of ranks from 1 to 8") {
  struct Sizes {
    int64_t heads, kv_heads, head_dim, ffn;
  };
  // 0.5B, 1.5B, 3B and 7B: their heads, and their FFN in miniature, as many units of eight modulo
  // small numbers.
  for (Sizes s : {Sizes{14, 2, 8, 4864 / 16},
                  {12, 2, 8, 8960 / 16},
                  {16, 2, 8, 11008 / 16},
                  {28, 4, 8, 18944 / 16}}) {
    EngineSetup setup{.config = grid_config(s.heads, s.kv_heads, true)};
    setup.config.intermediate_size = s.ffn;
    setup.page_size = kGridPageSize;
    Requests requests{greedy_request(0, make_prompt(20, 1), 6),
                      greedy_request(1, make_prompt(9, 2), 6)};
    std::vector<GridShape> grids;
    for (int n = 1; n <= std::min(8, mpi().world().size()); ++n)
      grids.push_back(choose_grid(setup.config, std::nullopt, n));
    std::optional<Outcome> want;
    on_each_grid(grids, [&](const MpiGroup& group, const GridShape& grid) {
      CAPTURE(grid.str());
      EngineSetup on_grid = setup;
      on_grid.grid = grid;
      Outcome got = run_engine(on_grid, group, requests);
      if (group.rank() > 0) return;
      if (!want) want = alone(setup, requests);
      CHECK(got.tokens() == want->tokens());
    });
  }
}
