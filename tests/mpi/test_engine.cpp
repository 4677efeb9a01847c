// Plans, runner and workers together, on all ranks: what requests ask for is what they get,
// whatever else runs and on however many ranks.
#include "tests/support/engine_oracle.h"
#include "tests/support/margin.h"
#include "tests/unit/model/text/tokenizer_data.h"

using namespace ll;
using namespace ll::test;

namespace {

// One of every way to sample; several share prompts.
Requests mixed_requests() {
  Requests list;
  for (int32_t i = 0; i < 16; ++i) {
    auto r = i % 3 == 0 ? greedy_request(i, make_prompt(5 + 9 * (i % 5), i % 4), 6 + i)
                        : sampled_request(i, make_prompt(5 + 9 * (i % 5), i % 4), 6 + i);
    SamplingParams& p = r->params;
    if (i % 4 == 1) p.top_k = 20;
    if (i % 5 == 2) p.top_p = 0.7f;
    if (i % 5 == 4) p.min_p = 0.5f;
    if (i % 6 == 1) p.repetition_penalty = 1.3f, p.presence_penalty = 0.2f;
    if (i % 6 == 3) p.frequency_penalty = 0.4f;
    if (i % 7 == 2) p.logit_bias = {{5, 2.0f}, {9, -100.0f}};
    if (i % 4 == 2) p.logprobs = i % 8 == 2 ? 4 : 0;
    if (i == 6 || i == 7) p.prompt_logprobs = 3;
    if (i % 8 == 5) p.n = 3;
    if (i % 5 == 0) p.ignore_eos = false, p.logit_bias.emplace_back(0, 1.5f), p.min_tokens = 3;
    list.push_back(std::move(r));
  }
  return list;
}

void check_same(const Outcome& got, const Outcome& want) {
  CHECK(got.tokens() == want.tokens());
  for (const auto& [key, a] : want.answers) {
    CAPTURE(key.request);
    const RigAnswer& b = got.answers.at(key);
    CHECK(b.finish_reason == a.finish_reason);
    REQUIRE(b.logprobs.size() == a.logprobs.size());
    for (size_t i = 0; i < a.logprobs.size(); ++i) {
      CHECK(std::abs(b.logprobs[i].logprob - a.logprobs[i].logprob) < 1e-4);
      CHECK(b.logprobs[i].top.size() == a.logprobs[i].top.size());
    }
  }
  REQUIRE(got.prompt_logprobs.size() == want.prompt_logprobs.size());
  for (const auto& [id, list] : want.prompt_logprobs) {
    REQUIRE(got.prompt_logprobs.at(id).size() == list.size());
    for (size_t i = 0; i < list.size(); ++i)
      CHECK(std::abs(got.prompt_logprobs.at(id)[i].logprob - list[i].logprob) < 1e-4);
  }
}

}  // namespace

TEST_CASE("engine: any number of ranks gives one rank's answers") {
  for (auto [heads, kv] : {std::pair<int64_t, int64_t>{4, 2}, {7, 1}}) {
    EngineSetup setup{.config = tiny_config(heads, kv)};
    on_rank_0(setup, mixed_requests(), [&](const Outcome& got) {
      Outcome want = alone(setup, mixed_requests());
      check_same(got, want);
      CHECK(want.answers.size() == 16 + 2 * 2);
      CHECK(want.prompt_logprobs.size() == 2);
    });
  }
}

TEST_CASE("engine: answers do not depend on the batch, its memory, the cache or the step ahead") {
  EngineSetup plain{.max_num_seqs = 16, .max_num_batched_tokens = 512};
  Outcome want = leads() ? alone(plain, mixed_requests()) : Outcome();
  std::vector<EngineSetup> others(8, plain);
  others[0].max_num_seqs = 3;             // waiting, forks of three
  others[1].max_num_batched_tokens = 16;  // prompts in pieces
  others[2].radix = false;
  others[3].async = false;
  others[4].page_size = 1;
  others[4].num_pages = 2000;
  others[5].num_pages = 6;   // preemption: the longest sequence takes four
  for (size_t i : {6, 7}) {  // rows in groups, in another order
    others[i].page_size = 4;
    others[i].num_pages = i == 6 ? 500 : 24;
    others[i].prefix_groups = {.min_rows = 2, .min_pages = 1};
  }
  others.resize(10, plain);  // where some may have drafts, and others not
  for (size_t i : {8, 9}) others[i].drafts = {.max_drafts = 2, .is_adaptive = false};
  others[9].num_pages = 6;
  for (const EngineSetup& setup : others) {
    CAPTURE(setup.max_num_seqs);
    CAPTURE(setup.max_num_batched_tokens);
    CAPTURE(setup.num_pages);
    CAPTURE(setup.page_size);
    on_rank_0(setup, mixed_requests(), [&](const Outcome& got) {
      check_same(got, want);
      if (setup.num_pages == 6 || setup.num_pages == 24) CHECK(got.stats.num_preemptions > 0);
      CHECK(got.stats.num_running == 0);
      CHECK(got.stats.kv_usage == 0);
    });
  }
  // One at a time.
  for (const auto& r : mixed_requests())
    on_rank_0(plain, {r}, [&](const Outcome& got) {
      for (const auto& [key, a] : got.answers) CHECK(a.tokens == want.answers.at(key).tokens);
    });
}

TEST_CASE("engine: in bfloat16 drafts change tokens only where the two best are close") {
  auto requests = [](bool with_logprobs) {
    Requests list;
    for (int32_t i = 0; i < 12; ++i) {
      auto r = greedy_request(i, make_prompt(5 + 7 * i, i % 4), 60);
      r->params.logit_bias = {{7, 4.0f}, {8 + i, 4.0f}, {20 + i, 3.0f}};
      if (with_logprobs) r->params.logprobs = 2;
      list.push_back(std::move(r));
    }
    return list;
  };
  EngineSetup plain{.dtype = DType::bf16, .max_num_seqs = 16, .max_num_batched_tokens = 512},
      drafting = plain;
  drafting.drafts = {.max_drafts = 3, .is_adaptive = false};
  Outcome want = leads() ? alone(plain, requests(true)) : Outcome();
  on_rank_0(drafting, requests(false), [&](const Outcome& got) {
    size_t compared = 0;
    for (const auto& [key, answer] : want.answers) {
      CAPTURE(key.request);
      compared += check_same_by_margin(got.answers.at(key), answer);
    }
    MESSAGE(fmt::format("{} of {} tokens compared", compared, 12 * 60));
    CHECK(compared > 12 * 60 / 4);
    CHECK(got.stats.accepted_tokens > 100);
  });
}

TEST_CASE("engine: several tokens a step are the same tokens") {
  // Few tokens, so that answers repeat themselves, with a word of their own each.
  Requests requests;
  for (int32_t i = 0; i < 9; ++i) {
    auto r = i % 3 ? greedy_request(i, make_prompt(5 + 7 * i, i % 4), 30 + i)
                   : sampled_request(i, make_prompt(5 + 7 * i, i % 4), 30 + i);
    r->params.logit_bias = {{7, 4.0f}, {8 + i, 4.0f}};
    if (i == 2) r->params.n = 3;
    if (i == 4) r->params.stop_token_ids = {8 + i};
    if (i == 5) r->params.min_tokens = 12, r->params.stop_token_ids = {7};
    if (i == 6) r->params.top_k = 4, r->params.top_p = 0.9f;
    requests.push_back(std::move(r));
  }
  EngineSetup plain{.max_num_seqs = 16, .max_num_batched_tokens = 512};
  Outcome want = leads() ? alone(plain, requests) : Outcome();
  std::vector<EngineSetup> setups(6, plain);
  for (EngineSetup& s : setups) s.drafts = {.max_drafts = 3, .is_adaptive = false};
  setups[1].max_num_seqs = 2;
  setups[1].drafts.max_drafts = 7;
  setups[2].async = false;
  setups[3].num_pages = 10;  // preemption
  setups[4].radix = false;
  setups[4].max_num_batched_tokens = 20;
  setups[5].page_size = 1;
  setups[5].num_pages = 2000;
  setups[5].graph_max_rows = 16;
  for (const EngineSetup& setup : setups) {
    CAPTURE(setup.max_num_seqs);
    CAPTURE(setup.num_pages);
    on_rank_0(setup, requests, [&](const Outcome& got) {
      check_same(got, want);
      CHECK(got.stats.accepted_tokens > 30);
      CHECK(got.stats.draft_tokens >= got.stats.accepted_tokens);
      CHECK(got.stats.kv_usage == 0);
    });
  }
}

TEST_CASE("engine: how answers end") {
  EngineSetup setup;
  Requests requests;
  for (int32_t i = 0; i < 6; ++i) {
    auto r = greedy_request(i, make_prompt(9, i), 12);
    r->params.ignore_eos = false;
    r->params.logit_bias = {{i == 3 ? 77 : 0, 100.0f}};  // wants to end at once
    requests.push_back(std::move(r));
  }
  requests[1]->params.min_tokens = 5;
  requests[2]->params.ignore_eos = true;
  requests[3]->params.stop_token_ids = {77};
  requests[4]->params.max_tokens = 1;
  requests[4]->params.logit_bias.clear();
  requests[5]->params.min_tokens = 12;
  on_rank_0(setup, requests, [&](const Outcome& got) {
    CHECK(got.answer(0).tokens == std::vector<int32_t>{0});
    CHECK(got.answer(0).finish_reason == FinishReason::kStop);
    REQUIRE(got.answer(1).tokens.size() == 6);  // five of its own, then the end
    for (size_t i = 0; i < 5; ++i) CHECK(got.answer(1).tokens[i] != 0);
    CHECK(got.answer(1).tokens[5] == 0);
    CHECK(got.answer(2).tokens == std::vector<int32_t>(12, 0));
    CHECK(got.answer(2).finish_reason == FinishReason::kLength);
    CHECK(got.answer(3).tokens == std::vector<int32_t>{77});
    CHECK(got.answer(3).finish_reason == FinishReason::kStop);
    CHECK(got.answer(4).tokens.size() == 1);
    CHECK(got.answer(4).finish_reason == FinishReason::kLength);
    CHECK(got.answer(5).tokens.size() == 12);
    CHECK(std::count(got.answer(5).tokens.begin(), got.answer(5).tokens.end(), 0) == 0);
  });
}

TEST_CASE("engine: a shared prefix is computed once and changes no answer") {
  EngineSetup setup{.max_num_seqs = 4};
  Requests requests;
  for (int32_t i = 0; i < 12; ++i) {
    auto prompt = make_prompt(45, 1);
    prompt.push_back(1 + i);
    requests.push_back(greedy_request(i, prompt, 5));
  }
  on_rank_0(setup, requests, [&](const Outcome& got) {
    setup.radix = false;
    Outcome want = alone(setup, requests);
    CHECK(got.tokens() == want.tokens());
    CHECK(got.stats.cached_tokens >= 8 * 45 + 3 * 32);
    CHECK(want.stats.cached_tokens == 0);
  });
}

TEST_CASE("engine: a stop string ends its sequence") {
  EngineSetup setup{.tokenizer = &tiny_docs()};
  Requests requests;
  for (int32_t i = 0; i < 6; ++i) {
    requests.push_back(sampled_request(i, make_prompt(9, i), 20));
    draw_letters(*requests.back(), tiny_docs());
  }
  Outcome want = leads() ? alone(setup, requests) : Outcome();
  for (int32_t i = 0; leads() && i < 6; i += 2) {
    RigAnswer& a = want.answers.at({i, 0});
    a.tokens.resize(static_cast<size_t>(3 + i));
    a.finish_reason = FinishReason::kStop;
    requests[static_cast<size_t>(i)]->text.stop = {text_of(a.tokens, tiny_docs())};
  }
  for (bool async : {true, false}) {
    setup.async = async;
    on_rank_0(setup, requests, [&](const Outcome& got) { check_same(got, want); });
  }
}

TEST_CASE("engine: cancelled requests end where they are, the others go on") {
  for (int64_t num_pages : {200, 8})
    for (bool async : {true, false}) {
      EngineSetup setup{.max_num_seqs = 4, .num_pages = num_pages, .async = async};
      Requests requests;
      for (int32_t i = 0; i < 8; ++i) {
        requests.push_back(sampled_request(i, make_prompt(20, i), 25));
        requests.back()->params.n = i == 2 ? 2 : 1;
      }
      EngineHooks hooks{.before_step = [](RigDesk<Engine>& desk, int64_t step) {
        if (step == 0) desk.cancel(7);      // waiting
        if (step == 1) desk.cancel(0);      // its first token is being drawn
        if (step == 5) desk.cancel(2);      // both answers
        if (step == 6) desk.cancel(2);      // nothing is left of it
        if (step == 8) desk.cancel(12345);  // never was
      }};
      on_rank_0(
          setup, requests,
          [&](const Outcome& got) {
            Outcome want = alone(setup, requests);
            for (const auto& [key, a] : want.answers) {
              bool cancelled = key.request == 0 || key.request == 2 || key.request == 7;
              auto found = got.answers.find(key);
              REQUIRE((found != got.answers.end() || cancelled));
              if (found == got.answers.end()) continue;
              if (!cancelled) CHECK(found->second.tokens == a.tokens);
              if (cancelled) CHECK(found->second.finish_reason == FinishReason::kNone);
              CHECK(std::equal(found->second.tokens.begin(), found->second.tokens.end(),
                               a.tokens.begin()));
            }
            CHECK(!got.answers.contains({7, 0}));
            CHECK(got.stats.kv_usage == 0);
          },
          hooks);
    }
}

TEST_CASE("engine: requests may come at any time") {
  EngineSetup setup{.max_num_seqs = 3};
  Requests requests;
  for (int32_t i = 0; i < 10; ++i) requests.push_back(sampled_request(i, make_prompt(6 + i, i), 8));
  EngineHooks hooks{.before_step = [&](RigDesk<Engine>& desk, int64_t step) {
    if (step % 3 == 0 && step / 3 + 1 < 10)
      desk.submit(*requests[static_cast<size_t>(step / 3 + 1)]);
  }};
  on_rank_0(
      setup, {requests[0]},
      [&](const Outcome& got) {
        Outcome want = alone(setup, requests);
        CHECK(got.tokens() == want.tokens());
      },
      hooks);
}

TEST_CASE("engine: prompts and answers up to the last position the memory holds") {
  EngineSetup setup{.max_num_seqs = 2, .max_length = 64, .num_pages = 4};
  Requests requests{
      greedy_request(0, make_prompt(63, 1), 2), greedy_request(1, make_prompt(1, 1), 64),
      greedy_request(2, make_prompt(64, 2), 1), greedy_request(3, make_prompt(62, 1), 3)};
  on_rank_0(setup, requests, [&](const Outcome& got) {
    Oracle oracle(setup);
    for (const auto& r : requests) CHECK(got.answer(r->id).tokens == oracle.greedy(*r));
  });
}

TEST_CASE("engine: a plan without rows starts slots and fills page tables all the same") {
  EngineSetup setup;
  RunnerRig rig(setup, mpi().world(), {});
  StepPlan start{.id = 1}, prefill{.id = 2};
  start.new_slots = {{.slot = 3, .sampling = {.num_logprobs = 2, .logit_bias = {{88, 100.0f}}}}};
  start.page_deltas = {{3, 0, 17}, {3, 1, 4}};
  prefill.chunks = {{.slot = 3, .tokens = make_prompt(20, 1)}};
  prefill.samples = {{19, 3, 20}};
  rig.runner.launch(start);
  rig.runner.launch(prefill);
  if (!leads()) return;
  CHECK(rig.runner.is_done());
  CHECK(rig.runner.collect().tokens.empty());
  StepResult result = rig.runner.collect();
  CHECK(result.tokens == std::vector<int32_t>{88});
  REQUIRE(result.logprobs.size() == 1);
  Oracle(setup).check_logprob(result.logprobs[0], make_prompt(20, 1), 88, 2);
}
