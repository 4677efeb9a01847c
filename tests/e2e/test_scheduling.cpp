// What a request is answered does not depend on how requests are scheduled: each variant below
// gives the choices of the first run, byte for byte, and nearly the same log-probabilities.
#include <doctest/doctest.h>
#include <fmt/core.h>

#include <algorithm>
#include <random>

#include "tests/e2e/batch.h"

using namespace ll::test;

namespace {

// Prompts that share beginnings of some hundred tokens, and short ones; half of them greedy, half
// with seeds.
std::vector<Json> mixed_requests() {
  std::string text = read_file(model_folder("tiny-qwen2-docs") + "/held_out.txt");
  std::vector<Json> requests;
  for (int i = 0; i < 24; ++i) {
    size_t begin = i % 3 * 1000, length = 40 + static_cast<size_t>(i) * 53 % 900;
    Json fields = {{"max_tokens", 8 + i * 7 % 32}, {"return_token_ids", true}};
    if (i % 2 == 0) fields["temperature"] = 0;
    if (i % 2 == 1) fields.update({{"temperature", 0.8}, {"top_p", 0.95}, {"seed", i}});
    if (i % 5 == 0) fields["logprobs"] = 2;
    if (i % 7 == 3) fields["repetition_penalty"] = 1.2;
    requests.push_back(completion(fmt::format("r{}", i), text.substr(begin, length), fields));
  }
  return requests;
}

std::vector<Json> forked_requests() {
  auto requests = mixed_requests();
  for (size_t i = 0; i < requests.size(); i += 4) requests[i]["body"]["n"] = 3;
  for (size_t i = 0; i < requests.size(); i += 8) requests[i]["body"]["temperature"] = 0.9;
  return requests;
}

void check_same(const Answers& one, const Answers& other) {
  for (const auto& [id, body] : one.by_id) {
    CAPTURE(id);
    Json a = body["choices"], b = other.by_id.at(id)["choices"];
    REQUIRE(a.size() == b.size());
    for (size_t i = 0; i < a.size(); ++i) {
      Json of_a = a[i]["logprobs"], of_b = b[i]["logprobs"];
      a[i].erase("logprobs");
      b[i].erase("logprobs");
      CHECK(a[i].dump() == b[i].dump());
      if (of_a.is_null()) continue;
      CHECK(of_a["tokens"] == of_b["tokens"]);
      for (size_t k = 0; k < of_a["token_logprobs"].size(); ++k)
        CHECK(of_a["token_logprobs"][k].get<double>() ==
              doctest::Approx(of_b["token_logprobs"][k].get<double>()).epsilon(1e-4));
    }
  }
}

int64_t preemptions(const Answers& answers) {
  size_t at = answers.outcome.err.find("preemptions");
  REQUIRE(at != std::string::npos);
  return std::stoll(answers.outcome.err.substr(at + 11));
}

void check_variants(int np, const std::vector<Json>& requests,
                    const std::vector<std::vector<std::string>>& variants) {
  Answers first = answer({.np = np}, requests);
  for (const auto& sets : variants) {
    CAPTURE(Json(sets).dump());
    check_same(first, answer({.np = np, .sets = sets}, requests));
  }
}

// KV memory of that many positions of the tiny model in float32: 6 layers, 2 heads of 64, keys and
// values.
std::string memory_of(int positions, int np) {
  return fmt::format("kv_cache.memory_bytes={}", positions * 6 * 2 * 64 * 2 * 4 / np);
}

}  // namespace

TEST_CASE("pages, cache, batch size, chunks and async leave the answers alone") {
  check_variants(1, mixed_requests(),
                 {{"kv_cache.radix=false"},
                  {"kv_cache.page_size=1"},
                  {"kv_cache.page_size=16", "scheduler.async=false"},
                  {"scheduler.max_num_seqs=1"},
                  {"scheduler.max_num_seqs=16", "scheduler.max_num_batched_tokens=48"},
                  {"scheduler.chunked_prefill=false", "scheduler.max_num_batched_tokens=700"},
                  {"scheduler.async=false", "kv_cache.radix=false"},
                  {"scheduler.max_num_seqs=1", "kv_cache.page_size=1", "kv_cache.radix=false",
                   "scheduler.max_num_batched_tokens=17"}});
}

TEST_CASE("several answers to a prompt, on two ranks, do not depend on scheduling either") {
  check_variants(2, forked_requests(),
                 {{"kv_cache.radix=false", "kv_cache.page_size=16"},
                  {"scheduler.max_num_seqs=3", "scheduler.max_num_batched_tokens=33"},
                  {"scheduler.async=false", "kv_cache.page_size=1"}});
}

TEST_CASE("several tokens a step are the same tokens") {
  auto requests = forked_requests();
  requests.resize(12);
  for (Json& r : requests) {
    Json& body = r["body"];
    body.erase("logprobs");  // with them there are no drafts
    body.erase("repetition_penalty");
    body["max_tokens"] = 40 + body["max_tokens"].get<int>();
  }
  requests[2]["body"]["stop"] = {" the"};
  requests[4]["body"]["min_tokens"] = 9;
  requests[5]["body"]["logprobs"] = 1;  // ... while this one runs
  requests[5]["body"]["max_tokens"] = 9;
  for (int np : {1, 2}) {
    CAPTURE(np);
    Answers first = answer({.np = np}, requests);
    for (std::vector<std::string> sets :
         {std::vector<std::string>{"speculative.num_speculative_tokens=3"},
          {"scheduler.busy_scale=1", memory_of(768, np), "kv_cache.page_size=16"}}) {
      for (const char* set : {"speculative.method=ngram", "speculative.adaptive=false"})
        sets.emplace_back(set);
      CAPTURE(Json(sets).dump());
      Answers got = answer({.np = np, .sets = sets}, requests);
      check_same(first, got);
      int64_t accepted = 0;
      for (const auto& [id, body] : got.by_id)
        if (body["usage"].contains("completion_tokens_details"))
          accepted += body["usage"]["completion_tokens_details"]["accepted_prediction_tokens"]
                          .get<int64_t>();
      CHECK(accepted > 50);
    }
  }
}

TEST_CASE("preempted sequences end as if they never were") {
  for (int np : {1, 2}) {
    CAPTURE(np);
    auto requests = np == 1 ? mixed_requests() : forked_requests();
    for (Json& r : requests) r["body"]["max_tokens"] = 60 + r["body"]["max_tokens"].get<int>();
    Answers ample = answer({.np = np}, requests);
    CHECK(preemptions(ample) == 0);
    for (bool radix : {true, false}) {
      CAPTURE(radix);
      int page_size = radix == (np == 1) ? 16 : 1;
      Answers tight = answer({.np = np,
                              .sets = {memory_of(768, np), "scheduler.busy_scale=1",
                                       fmt::format("kv_cache.radix={}", radix),
                                       fmt::format("kv_cache.page_size={}", page_size)}},
                             requests);
      CHECK(preemptions(tight) > 0);
      check_same(ample, tight);
    }
  }
}

TEST_CASE("scored prompts that are the same and hardly fit are answered one after the other") {
  Json prompt(std::vector<int>(401, 5));  // 7 of 10 pages
  Json fields = {{"max_tokens", 1}, {"echo", true}, {"logprobs", 0}};
  Answers answers =
      answer({.sets = {memory_of(640, 1), "scheduler.max_num_batched_tokens=64",
                       "scheduler.max_num_seqs=16"}},
             std::vector<Json>{completion("a", prompt, fields), completion("b", prompt, fields)});
  for (const char* id : {"a", "b"})
    CHECK(answers.choice(id)["logprobs"]["token_logprobs"].size() == 402);
}

namespace {

// Requests of twelve groups in a random order: a group's prompts have some hundred tokens in
// common.
std::vector<Json> shuffled_groups() {
  std::string text = read_file(model_folder("tiny-qwen2-docs") + "/held_out.txt");
  std::vector<Json> requests;
  for (size_t i = 0; i < 60; ++i)
    requests.push_back(completion(fmt::format("r{}", i),
                                  text.substr(i % 12 * 1500, 1200) + fmt::format(" {} and", i),
                                  {{"max_tokens", 3}, {"temperature", 0}}));
  std::shuffle(requests.begin(), requests.end(), std::mt19937(5));
  return requests;
}

int64_t cached_tokens(const Answers& answers) {
  int64_t sum = 0;
  for (const auto& [id, body] : answers.by_id)
    sum += body.at("usage").at("prompt_tokens_details").at("cached_tokens").get<int64_t>();
  return sum;
}

}  // namespace

TEST_CASE("prompts that begin alike are computed once where memory holds a few of them alone") {
  std::vector<Json> requests = shuffled_groups();
  auto run = [&](const std::string& order, int positions) {
    return answer({.sets = {memory_of(positions, 1), "job.order=" + order,
                            "scheduler.max_num_seqs=4", "kv_cache.page_size=16"}},
                  requests);
  };
  Answers best = run("arrival", 12000), prefix = run("prefix", 1200),
          arrival = run("arrival", 1200);
  check_same(best, prefix);
  fmt::print("prompt tokens from the cache: {} by prefix, {} by arrival, {} at best\n",
             cached_tokens(prefix), cached_tokens(arrival), cached_tokens(best));
  CHECK(cached_tokens(best) > 12 * 4 * 200);
  CHECK(cached_tokens(prefix) * 100 >= cached_tokens(best) * 95);
  CHECK(cached_tokens(arrival) < cached_tokens(best) / 2);
}
