#include "runtime/answers/desk.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>

#include "tests/support/errors.h"
#include "tests/unit/model/text/tokenizer_data.h"

using namespace ll;
using namespace ll::test;

namespace {

constexpr int32_t kEnd = 8000;

std::vector<int32_t> encode(const std::string& text) { return tiny_docs().encode(text); }

// One token a byte, so that characters and stop strings span tokens.
std::vector<int32_t> bytes_of(const std::string& text) {
  std::vector<int32_t> ids;
  for (char c : text)
    for (int32_t id = 0; id < 256; ++id)
      if (tiny_docs().token_bytes(id) == std::string(1, c)) ids.push_back(id);
  return ids;
}

CompletionRequest request_of(std::vector<std::vector<int32_t>> prompts, int32_t n = 1,
                             std::vector<std::string> stop = {}) {
  CompletionRequest r{.prompts = std::move(prompts)};
  r.params.n = n;
  r.text.stop = std::move(stop);
  return r;
}

// Tokens of a sequence; the last ends it for `reason`.
StepEvents tokens_of(SequenceId sequence, const std::vector<int32_t>& ids,
                     FinishReason reason = FinishReason::kNone) {
  StepEvents events;
  for (int32_t id : ids) events.tokens.push_back({sequence, id});
  if (!ids.empty()) events.tokens.back().finish_reason = reason;
  return events;
}

// A desk with the tiny model's tokenizer, and what it has said so far.
struct Rig {
  Desk desk{&tiny_docs(), {kEnd}};
  std::vector<Answer> answers;
  std::vector<SequenceId> ends;
  std::map<std::pair<int64_t, int32_t>, std::string> streamed;  // by key and choice
  std::vector<Delta> deltas;

  // The numbers of the engine's requests.
  std::vector<int64_t> open(int64_t key, CompletionRequest request) {
    std::vector<int64_t> ids;
    for (const auto& r : desk.open(key, std::move(request))) ids.push_back(r->id);
    return ids;
  }
  void take(StepEvents events) {
    Desk::Taken taken = desk.take(std::move(events));
    for (Answer& a : taken.answers) answers.push_back(std::move(a));
    ends.insert(ends.end(), taken.ends.begin(), taken.ends.end());
    for (Delta& d : taken.deltas) {
      streamed[{d.key, d.choice}] += d.text;
      deltas.push_back(std::move(d));
    }
  }
};

TokenLogprob scored(int32_t token, float logprob) { return {token, logprob, {{token, logprob}}}; }

}  // namespace

TEST_CASE("desk: a request becomes one engine request a prompt, in the order of opening") {
  Desk desk(nullptr, {kEnd});
  CompletionRequest r = request_of({{1, 2}, {3}}, 2);
  r.params.seed = 9;
  auto first = desk.open(70, r), second = desk.open(5, request_of({{4}}));
  REQUIRE(first.size() == 2);
  CHECK(first[0]->prompt == std::vector<int32_t>{1, 2});
  CHECK(first[1]->prompt == std::vector<int32_t>{3});
  CHECK(first[0]->params.n == 2);
  CHECK(first[1]->params.seed == 9);
  CHECK(first[0]->eos_token_ids == std::vector<int32_t>{kEnd});
  CHECK(first[0]->id < first[1]->id);
  CHECK(first[1]->id < second[0]->id);
  CHECK(desk.num_open() == 2);
  CHECK(error_of([&] { desk.open(70, request_of({{1}})); }).find("in use") != std::string::npos);
}

TEST_CASE("desk: how far a request is") {
  Rig rig;
  CompletionRequest request = request_of({encode("one"), encode("two")}, 2);
  request.params.max_tokens = 9;
  auto ids = rig.open(5, std::move(request));
  auto progress = [&] {
    auto all = rig.desk.progress();
    REQUIRE(all.size() == 1);
    CHECK(all[0].key == 5);
    return std::pair(all[0].num_drawn, all[0].num_remaining);
  };
  CHECK(progress() == std::pair<int64_t, int64_t>(0, 9));
  for (int64_t id : ids)
    for (int32_t i : {0, 1}) rig.take(tokens_of({id, i}, encode("a")));
  rig.take(tokens_of({ids[0], 0}, bytes_of("bc")));
  CHECK(progress().second == 8);
  // The one that has most ahead decides, of those that have not ended.
  for (SequenceId s : {SequenceId{ids[0], 1}, SequenceId{ids[1], 0}, SequenceId{ids[1], 1}})
    rig.take(tokens_of(s, encode("a"), FinishReason::kLength));
  CHECK(progress() == std::pair<int64_t, int64_t>(9, 6));
}

TEST_CASE("desk: each prompt has its own length") {
  Desk desk(nullptr, {kEnd});
  CompletionRequest r = request_of({{1, 2}, {3}});
  r.params.max_tokens = 9;
  r.params.min_tokens = 5;
  r.max_tokens = {4, 9};
  auto requests = desk.open(1, r);
  CHECK(requests[0]->params.max_tokens == 4);
  CHECK(requests[0]->params.min_tokens == 4);
  CHECK(requests[1]->params.max_tokens == 9);
  CHECK(requests[1]->params.min_tokens == 5);
}

TEST_CASE("desk: an answer is its tokens' text, and the token that ends it is not part of it") {
  Rig rig;
  int64_t id = rig.open(1, request_of({{1, 2, 3}}))[0];
  auto text = encode("the kernel");
  rig.take({.started = {{id, 2}}, .drafted = {{id, 2, 1}, {id, 1, 0}, {id + 9, 1, 1}}});
  rig.take(tokens_of({id, 0}, text));
  CHECK(rig.answers.empty());
  rig.take(tokens_of({id, 0}, {kEnd}, FinishReason::kStop));
  REQUIRE(rig.answers.size() == 1);
  const Answer& a = rig.answers[0];
  CHECK(a.key == 1);
  CHECK(a.choices[0].text == "the kernel");
  CHECK(a.choices[0].finish_reason == FinishReason::kStop);
  text.push_back(kEnd);
  CHECK(a.choices[0].token_ids == text);
  CHECK(a.usage.prompt_tokens == 3);
  CHECK(a.usage.cached_tokens == 2);
  CHECK(a.usage.draft_tokens == 3);
  CHECK(a.usage.accepted_tokens == 1);
  CHECK(a.usage.completion_tokens == static_cast<int64_t>(text.size()));
  CHECK(rig.desk.num_output_tokens() == a.usage.completion_tokens);
  CHECK(rig.ends.empty());  // who drew the token knows
  CHECK(rig.desk.num_open() == 0);
}

TEST_CASE(
    "desk: a stop string across two events ends the sequence, and tokens behind it are ignored") {
  Rig rig;
  int64_t id = rig.open(1, request_of({{1}}, 1, {"nel"}))[0];
  rig.take(tokens_of({id, 0}, bytes_of("the kerne")));
  CHECK(rig.ends.empty());
  StepEvents rest = tokens_of({id, 0}, bytes_of("l of"), FinishReason::kLength);
  rig.take(std::move(rest));
  CHECK(rig.ends == std::vector<SequenceId>{{id, 0}});
  REQUIRE(rig.answers.size() == 1);
  CHECK(rig.answers[0].choices[0].text == "the ker");
  CHECK(rig.answers[0].choices[0].finish_reason == FinishReason::kStop);
  CHECK(rig.answers[0].usage.completion_tokens == 10);
  rig.take(tokens_of({id, 0}, bytes_of("xyz"), FinishReason::kLength));
  CHECK(rig.answers.size() == 1);
  CHECK(rig.desk.num_output_tokens() == 10);
}

TEST_CASE("desk: a stop string that the last token completes needs no end") {
  Rig rig;
  int64_t id = rig.open(1, request_of({{1}}, 1, {"b"}))[0];
  rig.take(tokens_of({id, 0}, bytes_of("ab"), FinishReason::kLength));
  CHECK(rig.ends.empty());
  CHECK(rig.answers.at(0).choices[0].finish_reason == FinishReason::kStop);
  CHECK(rig.answers[0].choices[0].text == "a");
}

TEST_CASE("desk: choices end in any order, one of them while others run") {
  std::mt19937 rng(1);
  for (int round = 0; round < 20; ++round) {
    Rig rig;
    auto ids = rig.open(8, request_of({{1}, {2, 3}}, 3));
    rig.take({.started = {{ids[0], 0}, {ids[1], 1}}});
    std::vector<SequenceId> order;
    for (int64_t id : ids)
      for (int32_t i = 0; i < 3; ++i) order.push_back({id, i});
    std::shuffle(order.begin(), order.end(), rng);
    for (size_t k = 0; k < order.size(); ++k) {
      CHECK(rig.answers.empty());
      std::string text = "answer " + std::to_string(order[k].request * 10 + order[k].index);
      rig.take(tokens_of(order[k], bytes_of(text), FinishReason::kLength));
    }
    REQUIRE(rig.answers.size() == 1);
    const auto& choices = rig.answers[0].choices;
    REQUIRE(choices.size() == 6);
    for (size_t c = 0; c < 6; ++c) {
      CHECK(choices[c].index == static_cast<int32_t>(c));
      CHECK(choices[c].text ==
            "answer " + std::to_string(ids[c / 3] * 10 + static_cast<int64_t>(c % 3)));
    }
    CHECK(rig.answers[0].usage.prompt_tokens == 3);
    CHECK(rig.answers[0].usage.cached_tokens == 1);
  }
}

TEST_CASE("desk: a request's priority goes with each of its prompts") {
  Desk desk(nullptr, {});
  CompletionRequest r = request_of({{5}, {6}});
  r.priority = -2;
  for (const auto& request : desk.open(1, r)) CHECK(request->priority == -2);
}

TEST_CASE("desk: a preempted prompt's scores start over; every choice has them") {
  Rig rig;
  CompletionRequest r = request_of({{5, 6, 7, 8}}, 2);
  r.params.prompt_logprobs = 1;
  int64_t id = rig.open(1, r)[0];
  rig.take({.prompt_scores = {{id, 1, {scored(6, -1), scored(7, -2)}}}});
  rig.take({.prompt_scores = {{id, 1, {scored(6, -1.5f)}}}});
  rig.take({.prompt_scores = {{id, 2, {scored(7, -2.5f), scored(8, -3.5f)}}}});
  rig.take(tokens_of({id, 0}, {9}, FinishReason::kLength));
  rig.take(tokens_of({id, 1}, {9}, FinishReason::kLength));
  for (const Choice& c : rig.answers.at(0).choices) {
    REQUIRE(c.prompt_logprobs);
    const auto& scores = *c.prompt_logprobs;
    REQUIRE(scores.size() == 3);
    CHECK(scores[0].logprob == -1.5f);
    CHECK(scores[1].logprob == -2.5f);
    CHECK(scores[2].token == 8);
    CHECK(c.prompt_logprobs == rig.answers[0].choices[0].prompt_logprobs);
  }
}

TEST_CASE("desk: the first delta of each choice brings the scores of its prompt") {
  Rig rig;
  CompletionRequest r = request_of({bytes_of("ab")}, 2);
  r.stream = true;
  r.params.prompt_logprobs = 1;
  int64_t id = rig.open(7, r)[0];
  StepEvents events;
  events.prompt_scores.push_back({id, 1, {scored(5, -2)}});
  for (int32_t index : {0, 1})
    events.append(tokens_of({id, index}, bytes_of("xy"), FinishReason::kLength));
  rig.take(std::move(events));
  REQUIRE(rig.deltas.size() == 4);
  for (size_t i : {0, 2}) {
    REQUIRE(rig.deltas[i].prompt_logprobs);
    REQUIRE(rig.deltas[i].prompt_logprobs->size() == 1);
    CHECK(rig.deltas[i].prompt_logprobs->at(0).logprob == -2);
    CHECK_FALSE(rig.deltas[i + 1].prompt_logprobs);
  }
}

TEST_CASE("desk: half a character at the end is shown as what it is") {
  Rig rig;
  auto fox = bytes_of("x🦊");
  fox.pop_back();
  CompletionRequest r = request_of({{1}});
  r.stream = true;
  int64_t id = rig.open(1, r)[0];
  rig.take(tokens_of({id, 0}, fox, FinishReason::kLength));
  CHECK(rig.answers.at(0).choices[0].text == "x\xEF\xBF\xBD");
  CHECK(rig.streamed[{1, 0}] == "x\xEF\xBF\xBD");
}

TEST_CASE("desk: logprobs go with their tokens") {
  Rig rig;
  CompletionRequest r = request_of({{1}});
  r.params.logprobs = 1;
  int64_t id = rig.open(1, r)[0];
  StepEvents events = tokens_of({id, 0}, {5, 6}, FinishReason::kLength);
  events.tokens[0].logprob = scored(5, -0.5f);
  events.tokens[1].logprob = scored(6, -0.25f);
  rig.take(std::move(events));
  const auto& logprobs = rig.answers.at(0).choices[0].logprobs;
  REQUIRE(logprobs.size() == 2);
  CHECK(logprobs[1].token == 6);
  CHECK(logprobs[1].logprob == -0.25f);
}

TEST_CASE("desk: a closed request is forgotten, the others go on") {
  Rig rig;
  auto gone = rig.open(1, request_of({{1}, {2}})), stays = rig.open(2, request_of({{3}}));
  rig.take(tokens_of({gone[0], 0}, bytes_of("ab")));
  CHECK(rig.desk.close(1) == gone);
  CHECK(error_of([&] { rig.desk.close(1); }).find("not open") != std::string::npos);
  StepEvents late = tokens_of({gone[0], 0}, bytes_of("c"), FinishReason::kLength);
  late.started = {{gone[1], 1}};
  late.prompt_scores = {{gone[1], 1, {scored(1, -1)}}};
  late.append(tokens_of({stays[0], 0}, bytes_of("d"), FinishReason::kLength));
  rig.take(std::move(late));
  REQUIRE(rig.answers.size() == 1);
  CHECK(rig.answers[0].key == 2);
  CHECK(rig.desk.num_open() == 0);
}

TEST_CASE("desk: deltas, one behind the other, are the answer's text; only streams have them") {
  std::mt19937 rng(7);
  auto random_text = [&](size_t longest) {
    static const std::vector<std::string> kParts{"a", "b", "c", "é", "火", "🦊"};
    std::string text;
    for (size_t i = 0, n = 1 + rng() % longest; i < n; ++i) text += kParts[rng() % kParts.size()];
    return text;
  };
  for (int round = 0; round < 300; ++round) {
    Rig rig;
    CompletionRequest r = request_of({{1}}, 2, {random_text(3), random_text(4)});
    r.text.include_stop_str_in_output = rng() % 2;
    r.params.min_tokens = static_cast<int32_t>(rng() % 4);
    r.stream = true;
    int64_t id = rig.open(1, r)[0];
    r.stream = false;
    int64_t quiet = rig.open(2, r)[0];
    for (int32_t index = 0; index < 2; ++index) {
      auto ids = bytes_of(random_text(30));
      if (rng() % 2) ids.resize(1 + rng() % ids.size());  // cut within a character, perhaps
      for (int64_t request : {id, quiet})
        for (size_t i = 0; i < ids.size();) {
          size_t step = std::min(1 + rng() % 3, ids.size() - i);
          std::vector<int32_t> part(ids.begin() + static_cast<int64_t>(i),
                                    ids.begin() + static_cast<int64_t>(i + step));
          i += step;
          rig.take(tokens_of({request, index}, part,
                             i == ids.size() ? FinishReason::kLength : FinishReason::kNone));
        }
    }
    REQUIRE(rig.answers.size() == 2);
    for (int32_t c = 0; c < 2; ++c) {
      auto index = static_cast<size_t>(c);
      const Choice& choice = rig.answers[0].choices[index];
      REQUIRE(rig.streamed[{1, c}] == choice.text);
      REQUIRE(rig.answers[1].choices[index].text == choice.text);
      std::vector<int32_t> tokens;
      FinishReason reason = FinishReason::kNone;
      for (const Delta& d : rig.deltas)
        if (d.choice == c) tokens.push_back(d.token), reason = d.finish_reason;
      REQUIRE(tokens == choice.token_ids);
      REQUIRE(reason == choice.finish_reason);
    }
    for (const Delta& d : rig.deltas) REQUIRE(d.key == 1);
  }
}

TEST_CASE("desk: a step's cost is shared by tokens, and by those alone that are open") {
  Rig rig;
  int64_t a = rig.open(1, request_of({{1, 2, 3}}))[0], b = rig.open(2, request_of({{4}}))[0];
  rig.take({.costs = {{{8, 80, 4}, {{a, 3}, {b, 1}}}}});
  StepEvents end = tokens_of({b, 0}, {5}, FinishReason::kLength);
  end.costs = {{{4, 0, 2}, {{a, 1}, {b, 1}}}};
  rig.take(std::move(end));
  REQUIRE(rig.answers.size() == 1);
  Cost first = rig.answers[0].usage.cost.value();
  CHECK(first.device_seconds == 4);
  CHECK(first.joules == 20);
  CHECK(first.computed_tokens == 2);
  CHECK(rig.desk.progress()[0].cost.device_seconds == 8);
  // A row of the ended one was under way: the other pays for it.
  rig.take({.costs = {{{1, 0, 2}, {{a, 1}, {b, 1}}}}});
  end = tokens_of({a, 0}, {5}, FinishReason::kLength);
  rig.take(std::move(end));
  Cost second = rig.answers[1].usage.cost.value();
  CHECK(second.device_seconds == 9);
  CHECK(second.computed_tokens == 5);
  // With nobody left the next one does.
  rig.take({.costs = {{{2, 0, 1}, {{a, 1}}}}});
  CHECK(rig.desk.unshared_cost().device_seconds == 2);
  int64_t c = rig.open(3, request_of({{1}}))[0];
  rig.take({.costs = {{{1, 0, 1}, {{c, 1}}}}});
  rig.take(tokens_of({c, 0}, {5}, FinishReason::kLength));
  CHECK(rig.answers[2].usage.cost.value().device_seconds == 3);
  CHECK(rig.desk.unshared_cost().device_seconds == 0);
}

TEST_CASE("desk: answers have no cost where nobody shares it out") {
  Rig rig;
  int64_t a = rig.open(1, request_of({{1, 2, 3}}))[0];
  rig.take({.costs = {{{8, 80, 4}, {}}}});
  rig.take(tokens_of({a, 0}, {5}, FinishReason::kLength));
  CHECK_FALSE(rig.answers.at(0).usage.cost.has_value());
  CHECK(rig.desk.unshared_cost().device_seconds == 0);
}

TEST_CASE("desk: a request of which no token can be drawn comes to nothing, the others go on") {
  Desk desk(&tiny_docs(), {kEnd});
  auto bad = desk.open(1, request_of({{1, 2}, {3}}, 2)), good = desk.open(2, request_of({{4}}));
  desk.take(tokens_of({bad[0]->id, 0}, {5, 6}));
  StepEvents events = tokens_of({bad[0]->id, 1}, {0}, FinishReason::kFailed);
  events.append(tokens_of({bad[1]->id, 0}, {0}, FinishReason::kFailed));  // it is closed by now
  events.append(tokens_of({good[0]->id, 0}, {7}, FinishReason::kLength));
  Desk::Taken taken = desk.take(std::move(events));
  REQUIRE(taken.failures.size() == 1);
  CHECK(taken.failures[0].key == 1);
  CHECK(taken.failures[0].engine_requests == std::vector<int64_t>{bad[0]->id, bad[1]->id});
  REQUIRE(taken.answers.size() == 1);
  CHECK(taken.answers[0].key == 2);
  CHECK(desk.num_open() == 0);
}
