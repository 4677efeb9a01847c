#pragma once
// What an engine's answers are compared with: the same model on one rank, and its logits without
// pages, batches or caches.
#include <doctest/doctest.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "tests/support/engine_rig.h"
#include "tests/support/test_model.h"

namespace ll::test {

constexpr int32_t kVocab = 301;

inline bool leads() { return mpi().world().rank() == 0; }

inline std::vector<int32_t> make_prompt(int32_t length, int32_t seed) {
  std::vector<int32_t> ids;
  for (int32_t i = 0; i < length; ++i)
    ids.push_back(1 + (i * i * 7 + i * 13 + seed * 31) % (kVocab - 1));
  return ids;
}

inline std::shared_ptr<RigRequest> sampled_request(int64_t id, std::vector<int32_t> prompt,
                                                   int32_t max_tokens) {
  auto r = greedy_request(id, std::move(prompt), max_tokens);
  r->params.temperature = 1;
  return r;
}

// Has all of a request's tokens be letters and digits, so that its text is one character a token.
inline void draw_letters(RigRequest& r, const Tokenizer& tokenizer) {
  for (int32_t id = 0; id < kVocab; ++id) {
    std::string_view bytes = tokenizer.token_bytes(id);
    if (bytes.size() == 1 && std::isalnum(static_cast<unsigned char>(bytes[0])))
      r.params.logit_bias.emplace_back(id, 50.0f);
  }
}
inline std::string text_of(const std::vector<int32_t>& tokens, const Tokenizer& tokenizer) {
  std::string text;
  for (int32_t id : tokens) text += tokenizer.token_bytes(id);
  return text;
}

// The answers of `setup` on all ranks; `check` sees them on rank 0.
template <class Check>
void on_rank_0(const EngineSetup& setup, const Requests& requests, Check&& check,
               const EngineHooks& hooks = {}) {
  Outcome outcome = run_engine(setup, mpi().world(), requests, hooks);
  if (leads()) check(outcome);
}

inline Outcome alone(const EngineSetup& setup, const Requests& requests) {
  EngineSetup one = setup;
  one.grid.reset();
  return run_engine(one, MpiGroup(), requests);
}

// The model's own logits after each prefix, row by row, without pages, batches or caches.
class Oracle {
 public:
  explicit Oracle(const EngineSetup& setup)
      : model_(setup.config, setup.dtype, setup.seed, MpiGroup()) {}

  std::vector<float> logits(const std::vector<int32_t>& prefix) {
    TensorView hidden = model_.forward(prefix);
    return model_.logits(hidden.rows(hidden.dim(0) - 1, 1));
  }

  // Greedy tokens under the penalties, as their papers and OpenAI define them.
  std::vector<int32_t> greedy(const Request& r) {
    std::vector<int32_t> all = r.prompt, out;
    const SamplingParams& p = r.params;
    while (static_cast<int32_t>(out.size()) < p.max_tokens) {
      std::vector<float> x = logits(all);
      for (auto [token, bias] : p.logit_bias) x[static_cast<size_t>(token)] += bias;
      std::set<int32_t> seen(all.begin(), all.end());
      for (int32_t token : seen) {
        float& logit = x[static_cast<size_t>(token)];
        logit = logit > 0 ? logit / p.repetition_penalty : logit * p.repetition_penalty;
      }
      for (int32_t token : std::set<int32_t>(out.begin(), out.end()))
        x[static_cast<size_t>(token)] -=
            p.presence_penalty +
            p.frequency_penalty * static_cast<float>(std::count(out.begin(), out.end(), token));
      out.push_back(static_cast<int32_t>(std::max_element(x.begin(), x.end()) - x.begin()));
      all.push_back(out.back());
    }
    return out;
  }

  void check_logprob(const TokenLogprob& got, const std::vector<int32_t>& prefix, int32_t token,
                     size_t count) {
    std::vector<float> x = logits(prefix);
    double sum = 0;
    for (float v : x) sum += std::exp(static_cast<double>(v));
    auto want = [&](int32_t t) { return x[static_cast<size_t>(t)] - std::log(sum); };
    CHECK(got.token == token);
    CHECK(std::abs(got.logprob - want(token)) < 2e-4);
    REQUIRE(got.top.size() == count);
    std::vector<float> largest = x;
    std::sort(largest.begin(), largest.end(), std::greater<>());
    for (size_t i = 0; i < count; ++i) {
      CHECK(std::abs(got.top[i].second - want(got.top[i].first)) < 2e-4);
      CHECK(std::abs(got.top[i].second - (largest[i] - std::log(sum))) < 2e-4);
    }
  }

 private:
  TestModel model_;
};

}  // namespace ll::test
