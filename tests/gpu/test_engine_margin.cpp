// The whole engine on GPUs: graphs, the step ahead, chunks, preemption and the radix cache change
// no token, and neither do more GPUs.
#include "tests/support/margin.h"
#include "tests/support/test_paths.h"
#include "tests/support/world.h"

using namespace ll;
using namespace ll::test;

namespace {

EngineSetup base_setup() {
  EngineSetup setup{.config = load_config_only(repository_path("perf/models/qwen2.5-0.5b")),
                    .dtype = DType::bf16,
                    .max_num_seqs = 16,
                    .max_num_batched_tokens = 4096,
                    .max_length = 4000,
                    .num_pages = 600,
                    .page_size = 64};
  setup.config.num_layers = 6;
  return setup;
}

std::vector<int32_t> seeded_prompt(int32_t length, int32_t seed) {
  std::vector<int32_t> ids;
  for (int32_t i = 0; i < length; ++i)
    ids.push_back(1 + (i * i * 7 + i * 13 + seed * 3001) % 150000);
  return ids;
}

// Prompts of the same seed begin alike.
struct Length {
  int32_t prompt, output, seed;
};
using Lengths = std::vector<Length>;

Requests requests(const Lengths& lengths, bool with_logprobs) {
  Requests list;
  for (size_t i = 0; i < lengths.size(); ++i) {
    const Length& l = lengths[i];
    auto r = greedy_request(static_cast<int32_t>(i), seeded_prompt(l.prompt, l.seed), l.output);
    if (with_logprobs) r->params.logprobs = 2;
    list.push_back(std::move(r));
  }
  return list;
}

// Prompts of all lengths; some begin like another.
Lengths mixed_lengths() {
  Lengths lengths;
  for (int32_t i = 0; i < 20; ++i) lengths.push_back({1 + 97 * i % 700, 20 + i, i % 4});
  return lengths;
}

Outcome alone(const Lengths& lengths) {
  if (mpi().world().rank() > 0) return {};
  return run_engine(base_setup(), MpiGroup(), requests(lengths, true));
}

Outcome check_same(const EngineSetup& setup, const Lengths& lengths, const Outcome& want) {
  Outcome got = run_engine(setup, mpi().world(), requests(lengths, false));
  if (mpi().world().rank() > 0) return got;
  size_t compared = 0, total = 0;
  for (const auto& [key, answer] : want.answers) {
    CAPTURE(key.request);
    compared += check_same_by_margin(got.answers.at(key), answer);
    total += answer.tokens.size();
  }
  MESSAGE(fmt::format("{} of {} tokens compared", compared, total));
  CHECK(8 * compared > total);  // a random model's best logits are often close
  return got;
}

}  // namespace

TEST_CASE("engine: as one GPU alone, also without the radix cache, in chunks, one at a time") {
  std::vector<EngineSetup> setups(4, base_setup());
  setups[1].radix = false;
  setups[2].max_num_batched_tokens = 100;
  setups[3].max_num_seqs = 1;
  Outcome want = alone(mixed_lengths());
  for (const EngineSetup& setup : setups) {
    CAPTURE(setup.radix);
    CAPTURE(setup.max_num_batched_tokens);
    CAPTURE(setup.max_num_seqs);
    check_same(setup, mixed_lengths(), want);
  }
}

// With few requests many steps have the same rows, so that graphs are replayed.
TEST_CASE("engine: graphs of decode steps, stationary and gathered, give one GPU's tokens") {
  Lengths lengths;
  for (int32_t i = 0; i < 6; ++i) lengths.push_back({30 + 97 * i, 40 + 3 * i, i % 4});
  Outcome want = alone(lengths);
  EngineSetup setup = base_setup();
  setup.graph_max_rows = setup.max_num_seqs;
  check_same(setup, lengths, want);
  int ranks = mpi().world().size();
  if (ranks % 2 != 0) return;
  setup.grid = GridShape{.y = ranks / 2, .z = 2, .heads = 2};
  // None, some (so that modes and graphs alternate while sequences end), and all steps.
  for (int32_t from : {0, 4, 1}) {
    CAPTURE(from);
    setup.gather_tokens = from;
    check_same(setup, lengths, want);
  }
}

// Three prefixes, one of which goes on in two ways; sequences come and go, so that groups change
// from replay to replay.
TEST_CASE("engine: rows that read shared prefixes in groups give one GPU's tokens") {
  Lengths lengths;
  for (int32_t i = 0; i < 24; ++i) lengths.push_back({330 + 150 * (i % 2) + i, 20 + 5 * i, i % 3});
  Outcome want = alone(lengths);
  EngineSetup setup = base_setup();
  setup.max_num_seqs = 16;
  setup.prefix_groups = {.min_rows = 2, .min_pages = 1};
  for (int32_t graph_rows : {0, 16}) {
    CAPTURE(graph_rows);
    setup.graph_max_rows = graph_rows;
    check_same(setup, lengths, want);
  }
  setup.num_pages = 60;
  check_same(setup, lengths, want);
}

TEST_CASE("engine: with so little memory that sequences are preempted") {
  // Ten are expected to fit with two pages each, but come to need three.
  Lengths lengths;
  for (int32_t i = 0; i < 16; ++i) lengths.push_back({60, 70, i});
  EngineSetup setup = base_setup();
  setup.num_pages = 20;
  Outcome got = check_same(setup, lengths, alone(lengths));
  if (mpi().world().rank() == 0) CHECK(got.stats.num_preemptions > 0);
}

TEST_CASE("engine: a prompt of 24,000 tokens, in one step and in chunks") {
  EngineSetup setup = base_setup();
  setup.max_length = 25000;
  setup.config.num_layers = 3;
  auto run = [&](int32_t step_tokens, bool with_logprobs) {
    setup.max_num_batched_tokens = step_tokens;
    auto r = greedy_request(0, seeded_prompt(24000, 1), 12);
    if (with_logprobs) r->params.logprobs = 2;
    return run_engine(setup, mpi().world(), {r});
  };
  Outcome want = run(24576, true), got = run(2048, false);
  if (mpi().world().rank() == 0) check_same_by_margin(got.answer(0), want.answer(0));
}
