// How tokens are drawn and scored, through the whole engine and on all ranks, against the model's
// own logits.
#include "tests/support/engine_oracle.h"

using namespace ll;
using namespace ll::test;

TEST_CASE("engine: greedy tokens under penalties and biases are what the formulas say") {
  EngineSetup setup;
  Requests requests;
  for (int32_t i = 0; i < 6; ++i) {
    auto r = greedy_request(i, make_prompt(4 + 7 * i, i), 14);
    if (i == 1 || i == 5) r->params.repetition_penalty = 1.5f;
    if (i == 2 || i == 5) r->params.presence_penalty = 0.3f;
    if (i == 3 || i == 5) r->params.frequency_penalty = 0.2f;
    if (i == 4 || i == 5) r->params.logit_bias = {{7, 0.35f}, {250, 0.3f}, {8, -100.0f}};
    requests.push_back(std::move(r));
  }
  on_rank_0(setup, requests, [&](const Outcome& got) {
    Oracle oracle(setup);
    for (const auto& r : requests) {
      CAPTURE(r->id);
      CHECK(got.answer(r->id).tokens == oracle.greedy(*r));
      CHECK(got.answer(r->id).finish_reason == FinishReason::kLength);
    }
    CHECK(got.answer(0).tokens != got.answer(1).tokens);  // the penalties did something
  });
}

TEST_CASE("engine: restrictions to one token are greedy") {
  EngineSetup setup;
  Requests requests;
  for (int32_t i = 0; i < 5; ++i) {
    auto r = sampled_request(i, make_prompt(11, 1), 10);
    if (i == 0) r->params.temperature = 0;
    if (i == 1) r->params.top_k = 1;
    if (i == 2) r->params.top_p = 1e-6f;
    if (i == 3) r->params.min_p = 1;
    requests.push_back(std::move(r));
  }
  on_rank_0(setup, requests, [&](const Outcome& got) {
    for (int32_t i = 1; i < 4; ++i) CHECK(got.answer(i).tokens == got.answer(0).tokens);
    CHECK(got.answer(4).tokens != got.answer(0).tokens);  // a draw without restriction is not
  });
}

TEST_CASE("engine: biases force and forbid tokens") {
  EngineSetup setup;
  auto forced = sampled_request(1, make_prompt(5, 1), 6),
       forbidden = sampled_request(2, make_prompt(5, 1), 200);
  forced->params.logit_bias = {{123, 100.0f}};
  for (int32_t t = 0; t < kVocab; ++t)
    if (t % 4 != 0) forbidden->params.logit_bias.emplace_back(t, -100.0f);
  on_rank_0(setup, {forced, forbidden}, [&](const Outcome& got) {
    CHECK(got.answer(1).tokens == std::vector<int32_t>(6, 123));
    CHECK(got.answer(2).tokens.size() == 200);
    for (int32_t t : got.answer(2).tokens) CHECK(t % 4 == 0);
  });
}

TEST_CASE("engine: logprobs are the model's own, before temperature, penalties and bans") {
  EngineSetup setup;
  Requests requests;
  for (int32_t i = 0; i < 4; ++i) {
    auto r = i == 0 ? greedy_request(i, make_prompt(8, i), 6)
                    : sampled_request(i, make_prompt(8 + i, i), 6);
    r->params.logprobs = i == 3 ? 20 : i;
    if (i == 2) r->params.repetition_penalty = 2, r->params.temperature = 0.5f;
    if (i == 3) r->params.logit_bias = {{4, 3.0f}}, r->params.min_tokens = 6;
    requests.push_back(std::move(r));
  }
  on_rank_0(setup, requests, [&](const Outcome& got) {
    Oracle oracle(setup);
    for (const auto& r : requests) {
      const RigAnswer& a = got.answer(r->id);
      std::vector<int32_t> prefix = r->prompt;
      REQUIRE(a.logprobs.size() == a.tokens.size());
      for (size_t i = 0; i < a.tokens.size(); ++i) {
        oracle.check_logprob(a.logprobs[i], prefix, a.tokens[i],
                             static_cast<size_t>(r->params.logprobs));
        prefix.push_back(a.tokens[i]);
      }
    }
  });
}

TEST_CASE("engine: prompt logprobs, whole, in pieces, and after preemption") {
  EngineSetup whole{.max_num_batched_tokens = 512}, pieces{.max_num_batched_tokens = 13},
      scarce{.max_num_batched_tokens = 13, .num_pages = 6};
  for (const EngineSetup& setup : {whole, pieces, scarce}) {
    Requests requests;
    for (int32_t i = 0; i < 3; ++i) {
      auto r = greedy_request(i, make_prompt(i == 0 ? 1 : 20 + 9 * i, 3), 30);
      r->params.prompt_logprobs = i;
      r->params.n = i == 1 ? 2 : 1;
      requests.push_back(std::move(r));
    }
    on_rank_0(setup, requests, [&](const Outcome& got) {
      if (setup.num_pages == 6) CHECK(got.stats.num_preemptions > 0);
      Oracle oracle(setup);
      for (const auto& r : requests) {
        auto found = got.prompt_logprobs.find(r->id);
        size_t count = found == got.prompt_logprobs.end() ? 0 : found->second.size();
        REQUIRE(count == r->prompt.size() - 1);
        for (size_t i = 0; i < count; i += 5)
          oracle.check_logprob(found->second[i],
                               {r->prompt.begin(), r->prompt.begin() + static_cast<int64_t>(i) + 1},
                               r->prompt[i + 1], static_cast<size_t>(r->params.prompt_logprobs));
      }
    });
  }
}

TEST_CASE("engine: the n answers of a request are those of n requests with its seeds") {
  EngineSetup setup{.max_num_seqs = 6};
  auto together = sampled_request(1, make_prompt(37, 2), 15);
  together->params.n = 5;
  Requests apart;
  for (int32_t i = 0; i < 5; ++i) {
    apart.push_back(sampled_request(i, make_prompt(37, 2), 15));
    apart.back()->params.seed = 1000 + static_cast<uint64_t>(i) * 0x9E3779B97F4A7C15u;
  }
  for (bool radix : {true, false}) {
    setup.radix = radix;
    on_rank_0(setup, {together}, [&](const Outcome& got) {
      Outcome want = alone(setup, apart);
      std::set<std::vector<int32_t>> distinct;
      for (int32_t i = 0; i < 5; ++i) {
        CHECK(got.answer(1, i).tokens == want.answer(i).tokens);
        distinct.insert(got.answer(1, i).tokens);
      }
      CHECK(distinct.size() == 5);
    });
  }
}

TEST_CASE("engine: draws have the distribution they should have") {
  // A few likely tokens, made so by biases; 2048 first tokens of different seeds each.
  std::vector<std::pair<int32_t, float>> biases{
      {3, 12.0f}, {100, 11.5f}, {160, 11.0f}, {299, 10.5f}, {200, 10.0f}};
  struct Way {
    float temperature, top_p, min_p;
    int32_t top_k;
  };
  std::vector<Way> ways{
      {1, 1, 0, 0}, {2, 1, 0, 4}, {0.5f, 1, 0, 2}, {1, 0.8f, 0, 0}, {1, 1, 0.3f, 0}};
  EngineSetup setup{.max_num_seqs = 64, .max_num_batched_tokens = 256};
  for (const Way& way : ways) {
    Requests requests;
    for (int32_t i = 0; i < 32; ++i) {
      auto r = sampled_request(i, make_prompt(7, 5), 1);
      r->params.n = 64;
      r->params.temperature = way.temperature;
      r->params.top_p = way.top_p;
      r->params.min_p = way.min_p;
      r->params.top_k = way.top_k;
      r->params.logit_bias = biases;
      requests.push_back(std::move(r));
    }
    on_rank_0(setup, requests, [&](const Outcome& got) {
      std::map<int32_t, double> drawn;
      for (const auto& [key, a] : got.answers) drawn[a.tokens.at(0)] += 1.0 / 2048;
      std::vector<float> logits = Oracle(setup).logits(make_prompt(7, 5));
      for (auto [token, bias] : biases) logits[static_cast<size_t>(token)] += bias;
      std::vector<std::pair<double, int32_t>> p;
      double sum = 0, largest = *std::max_element(logits.begin(), logits.end());
      for (int32_t t = 0; t < kVocab; ++t) {
        p.emplace_back(std::exp((logits[static_cast<size_t>(t)] - largest) / way.temperature), t);
        sum += p.back().first;
      }
      std::sort(p.rbegin(), p.rend());
      double kept = 0;
      size_t num_kept = 0;
      for (const auto& [weight, token] : p) {
        bool out = (way.top_k > 0 && static_cast<int32_t>(num_kept) >= way.top_k) ||
                   (way.top_p < 1 && kept >= way.top_p * sum) || weight < way.min_p;
        if (out) break;
        kept += weight;
        ++num_kept;
      }
      double off = 1;  // probability mass on tokens that are not allowed
      for (size_t i = 0; i < num_kept; ++i) {
        auto [weight, token] = p[i];
        double want = weight / kept, deviation = std::sqrt(want * (1 - want) / 2048);
        CAPTURE(token);
        CHECK(std::abs(drawn[token] - want) < 4.5 * deviation + 1e-6);
        off -= drawn[token];
      }
      CHECK(std::abs(off) < 1e-9);
    });
  }
}
