// One, two and four ranks give the same tokens, those of transformers; from weight files and from
// Hugging Face folders.
#include <doctest/doctest.h>
#include <fmt/core.h>

#include <fstream>

#include "tests/e2e/batch.h"

using namespace ll::test;

namespace {

constexpr double kNearTie = 1e-3;           // a margin of logits that float32 may turn around
constexpr double kLogprobTolerance = 1e-3;  // against transformers in float32

Json golden_prompts(const std::string& model) {
  return Json::parse(std::ifstream(model_folder(model) + "/golden.json"))["prompts"];
}

std::vector<Json> golden_requests(const Json& prompts) {
  std::vector<Json> requests;
  for (const Json& p : prompts)
    requests.push_back(completion(fmt::format("p{}", requests.size()), p["input_ids"],
                                  {{"max_tokens", p["greedy"].size()},
                                   {"temperature", 0},
                                   {"ignore_eos", true},
                                   {"logprobs", 0},
                                   {"return_token_ids", true}}));
  return requests;
}

// Tokens and their log-probabilities, up to the first near tie that fell the other way.
void check_golden(const Answers& answers, const Json& prompts) {
  for (size_t i = 0; i < prompts.size(); ++i) {
    CAPTURE(i);
    const Json& choice = answers.choice(fmt::format("p{}", i));
    const Json &tokens = choice["token_ids"], &logprobs = choice["logprobs"]["token_logprobs"];
    const Json& p = prompts[i];
    REQUIRE(tokens.size() == p["greedy"].size());
    for (size_t k = 0; k < tokens.size(); ++k) {
      CAPTURE(k);
      if (tokens[k] != p["greedy"][k]) {
        CHECK(p["margin"][k].get<double>() < kNearTie);
        break;
      }
      CHECK(std::abs(logprobs[k].get<double>() - p["logprob"][k].get<double>()) <
            kLogprobTolerance);
    }
  }
}

// Sampled with seeds: one with each way to cut the distribution, and some of n.
std::vector<Json> seeded_requests() {
  std::vector<Json> requests;
  auto add = [&](const char* prompt, Json fields) {
    fields.update({{"max_tokens", 24}, {"return_token_ids", true}, {"seed", requests.size() + 1}});
    requests.push_back(completion(fmt::format("s{}", requests.size()), prompt, fields));
  };
  add("The kernel", {{"temperature", 0.7}});
  add("Git is a", {{"temperature", 1.0}, {"top_p", 0.9}});
  add("In Rust, ownership", {{"temperature", 0.8}, {"top_k", 40}});
  add("PostgreSQL supports", {{"temperature", 0.9}, {"min_p", 0.05}});
  add("The function returns", {{"temperature", 0.6}, {"n", 4}});
  add("To install the package,", {{"temperature", 0.8}, {"repetition_penalty", 1.1}});
  add("A", {{"temperature", 0.8}, {"presence_penalty", 0.5}, {"frequency_penalty", 0.5}});
  return requests;
}

}  // namespace

TEST_CASE("any number of ranks gives the tokens of transformers") {
  for (std::string model : {"tiny-qwen2-docs", "random-hd64", "random-hd128"}) {
    CAPTURE(model);
    Json prompts = golden_prompts(model), of_one_rank;
    for (int np : {1, 2, 4}) {
      CAPTURE(np);
      Answers answers = answer({.np = np, .model = model_file(model)}, golden_requests(prompts));
      check_golden(answers, prompts);
      if (np == 1) of_one_rank = answers.tokens();
      CHECK(answers.tokens() == of_one_rank);
    }
  }
}

TEST_CASE("a Hugging Face folder gives the same answers as its weight file") {
  auto requests = golden_requests(golden_prompts("tiny-qwen2-docs"));
  requests.resize(8);
  std::map<std::string, std::string> fixed_time = {{"SOURCE_DATE_EPOCH", "1700000000"}};
  Answers file = answer({.np = 2}, requests),
          folder = answer({.np = 2, .model = model_folder("tiny-qwen2-docs")}, requests);
  for (auto& [id, body] : file.by_id) CHECK(body["choices"] == folder.by_id[id]["choices"]);
}

TEST_CASE("seeded samples are the same on any number of ranks") {
  auto requests = seeded_requests();
  Json of_one_rank = answer({.np = 1}, requests).tokens();
  for (int np : {2, 4}) {
    CAPTURE(np);
    CHECK(answer({.np = np}, requests).tokens() == of_one_rank);
  }
}
