#include "runtime/replicas/replica_messages.h"

#include <doctest/doctest.h>

#include "tests/support/errors.h"

using namespace ll;
using namespace ll::test;

TEST_CASE("replica messages: a request") {
  Request r{.id = 71, .priority = -4, .prompt = {1, 2, 3}, .eos_token_ids = {9, 8}};
  SamplingParams& p = r.params;
  p.n = 2;
  p.temperature = 0.5f;
  p.top_k = 7;
  p.frequency_penalty = 2;
  p.seed = 0xfedcba9876543210u;
  p.logit_bias = {{4, -100.0f}, {5, 1.0f}};
  p.max_tokens = 33;
  p.min_tokens = 2;
  p.ignore_eos = true;
  p.stop_token_ids = {6};
  p.logprobs = 5;
  p.prompt_logprobs = 1;
  std::string message = encode(r);
  CHECK(kind_of(message) == ReplicaMessage::kWork);
  Request got = decode_request(message);
  CHECK(got.id == r.id);
  CHECK(got.prompt == r.prompt);
  CHECK(got.priority == -4);
  CHECK(got.eos_token_ids == r.eos_token_ids);
  CHECK(got.params == r.params);
}

TEST_CASE("replica messages: a step") {
  ReplicaStep step{.stats = {.num_waiting = 3, .cached_tokens = 17, .kv_usage = 0.5}};
  step.events.steps = {{.steps = 1, .rows = 5}, {.steps = 1, .rows = 6}};
  step.events.costs = {{{1.5, 20, 5}, {{4, 3}, {5, 2}}}};
  step.events.started = {{4, 16}};
  step.events.drafted = {{4, 3, 2}};
  step.events.prompt_scores = {{4, 1, {{7, -0.5f, {{7, -0.5f}, {8, -2.0f}}}, {9, -1.0f, {}}}}};
  step.events.tokens = {{{4, 1}, 77},
                        {{5, 0}, 78, FinishReason::kStop, TokenLogprob{78, -3.0f, {}}}};
  std::string message = encode(step);
  CHECK(kind_of(message) == ReplicaMessage::kStep);
  ReplicaStep got = decode_step(message);
  CHECK(got.stats.num_waiting == 3);
  CHECK(got.stats.cached_tokens == 17);
  CHECK(got.stats.kv_usage == 0.5);
  REQUIRE(got.events.steps.size() == 2);
  CHECK(got.events.steps[1].rows == 6);
  REQUIRE(got.events.costs.size() == 1);
  CHECK(got.events.costs[0].cost.device_seconds == 1.5);
  REQUIRE(got.events.costs[0].shares.size() == 2);
  CHECK(got.events.costs[0].shares[1].request == 5);
  CHECK(got.events.costs[0].shares[1].tokens == 2);
  REQUIRE(got.events.drafted.size() == 1);
  CHECK(got.events.drafted[0].accepted == 2);
  REQUIRE(got.events.started.size() == 1);
  CHECK(got.events.started[0].num_cached == 16);
  REQUIRE(got.events.prompt_scores.size() == 1);
  const auto& scores = got.events.prompt_scores[0];
  CHECK(scores.first == 1);
  REQUIRE(scores.logprobs.size() == 2);
  CHECK(scores.logprobs[0].top == step.events.prompt_scores[0].logprobs[0].top);
  CHECK(scores.logprobs[1].logprob == -1.0f);
  REQUIRE(got.events.tokens.size() == 2);
  CHECK(got.events.tokens[0].sequence == SequenceId{4, 1});
  CHECK(got.events.tokens[0].finish_reason == FinishReason::kNone);
  CHECK(!got.events.tokens[0].logprob);
  CHECK(got.events.tokens[1].token == 78);
  CHECK(got.events.tokens[1].finish_reason == FinishReason::kStop);
  CHECK(got.events.tokens[1].logprob->logprob == -3.0f);
}

TEST_CASE("replica messages: numbers, sequences and words") {
  CHECK(decode_value(encode(ReplicaMessage::kRecall, int64_t{-5})) == -5);
  std::vector<int64_t> ids{3, 1, 2};
  CHECK(decode_values(encode(ReplicaMessage::kReturned, ids)) == ids);
  CHECK(decode_sequence(encode(SequenceId{9, 2})) == SequenceId{9, 2});
  CHECK(decode_text(encode(ReplicaMessage::kHello, std::string_view("rank 3 on a"))) ==
        "rank 3 on a");
  CHECK(kind_of(encode(ReplicaMessage::kQuit)) == ReplicaMessage::kQuit);
}

TEST_CASE("replica messages: one cut short, or with more behind it, is refused") {
  std::string message = encode(Request{.id = 1, .prompt = {1, 2, 3}});
  for (size_t length = 1; length < message.size(); ++length)
    CHECK(error_of([&] { decode_request(message.substr(0, length)); }).find("too short") !=
          std::string::npos);
  CHECK(error_of([&] { decode_request(message + "x"); }).find("too long") != std::string::npos);
  CHECK(error_of([&] { kind_of(""); }).find("empty") != std::string::npos);
}
