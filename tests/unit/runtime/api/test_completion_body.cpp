#include "runtime/api/completion_body.h"

#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "runtime/api/token_names.h"
#include "tests/unit/runtime/api/completion_context.h"

using namespace ll;
using namespace ll::test;

namespace {

using Json = nlohmann::json;
constexpr int64_t kCreated = 1700000000;

int32_t id_of(const std::string& token) { return tiny_docs().id_of(token).value(); }

// An answer of the tokens of `text`, each with a logprob and the runner-up.
Choice make_choice(const std::string& text, bool scored = false) {
  Choice c{
      .token_ids = tiny_docs().encode(text), .text = text, .finish_reason = FinishReason::kStop};
  if (!scored) return c;
  float logprob = -0.5f;
  for (int32_t id : c.token_ids)
    c.logprobs.push_back({id, logprob -= 0.25f, {{id_of("a"), -0.125f}, {id_of("b"), -3.0f}}});
  return c;
}

Json body_of(const CompletionRequest& r, const std::vector<Choice>& choices,
             const Usage& usage = {5, 7, 2}) {
  std::string line = completion_body(r, choices, usage, "3", kCreated, &tiny_docs());
  CHECK(line.find('\n') == std::string::npos);
  return Json::parse(line);
}

// Scores of the tokens of its first prompt.
PromptLogprobs prompt_scores(const CompletionRequest& r,
                             const std::vector<std::pair<int32_t, float>>& top) {
  auto scores = std::make_shared<std::vector<TokenLogprob>>();
  for (size_t i = 1; i < r.prompts[0].size(); ++i) scores->push_back({r.prompts[0][i], -2.0f, top});
  return scores;
}

}  // namespace

TEST_CASE("body: a completion") {
  auto r = parse(completion_of(R"("model": "m")"));
  Json body = body_of(r, {make_choice("the answer")});
  CHECK(body["id"] == "cmpl-3");
  CHECK(body["object"] == "text_completion");
  CHECK(body["created"] == kCreated);
  CHECK(body["model"] == "m");
  CHECK(body["usage"] == Json::parse(R"({"prompt_tokens": 5, "completion_tokens": 7,
        "total_tokens": 12, "prompt_tokens_details": {"cached_tokens": 2}})"));
  CHECK(body["choices"] == Json::parse(R"([{"index": 0, "text": "the answer", "logprobs": null,
        "finish_reason": "stop"}])"));
}

TEST_CASE("body: finish reasons, several choices") {
  auto r = parse(completion_of(R"("n": 2)", "[\"one\", \"two\"]"));
  std::vector<Choice> choices;
  for (int32_t i = 0; i < 4; ++i) {
    choices.push_back(make_choice("x"));
    choices.back().index = i;
  }
  choices[1].finish_reason = FinishReason::kLength;
  choices[2].finish_reason = FinishReason::kAborted;
  Json list = body_of(r, choices)["choices"];
  CHECK(list.size() == 4);
  CHECK(list[0]["finish_reason"] == "stop");
  CHECK(list[1]["finish_reason"] == "length");
  CHECK(list[2]["finish_reason"] == "abort");
  CHECK(list[3]["index"] == 3);
}

TEST_CASE("body: chat") {
  auto r = parse(chat_of(R"("logprobs": true, "top_logprobs": 2, "return_token_ids": true)"));
  Choice c = make_choice(" naïve", true);
  Json body = body_of(r, {c});
  CHECK(body["id"] == "chatcmpl-3");
  CHECK(body["object"] == "chat.completion");
  Json choice = body["choices"][0];
  CHECK(choice["message"] == Json::parse(R"({"role": "assistant", "content": " naïve"})"));
  CHECK(choice["token_ids"] == c.token_ids);
  CHECK(choice["prompt_token_ids"] == r.prompts[0]);
  Json content = choice["logprobs"]["content"];
  REQUIRE(content.size() == c.token_ids.size());
  std::string bytes;
  for (size_t i = 0; i < content.size(); ++i) {
    CHECK(content[i]["logprob"] == c.logprobs[i].logprob);
    for (int b : content[i]["bytes"]) bytes += static_cast<char>(b);
    REQUIRE(content[i]["top_logprobs"].size() == 2);
    CHECK(content[i]["top_logprobs"][0]["token"] == "a");
    CHECK(content[i]["top_logprobs"][0]["bytes"] == Json::array({97}));
  }
  CHECK(bytes == " naïve");
  auto plain = parse(chat_of(""));
  CHECK(body_of(plain, {make_choice("x")})["choices"][0]["logprobs"].is_null());
}

TEST_CASE("body: a completion's logprobs as parallel lists, offsets in characters") {
  auto r = parse(completion_of(R"("logprobs": 2)"));
  Choice c = make_choice("é and b", true);
  Json lists = body_of(r, {c})["choices"][0]["logprobs"];
  size_t n = c.token_ids.size();
  for (const char* name : {"tokens", "token_logprobs", "top_logprobs", "text_offset"})
    CHECK(lists[name].size() == n);
  // A token a byte of the first character, then " and" and " b".
  REQUIRE(n == 4);
  CHECK(lists["text_offset"] == Json({0, 0, 1, 5}));
  CHECK(lists["tokens"] == Json({"", "é", " and", " b"}));
  for (size_t i = 0; i < n; ++i) {
    std::string token = lists["tokens"][i];
    CHECK(lists["token_logprobs"][i] == c.logprobs[i].logprob);
    // The drawn token stands among the largest even when it is none of them.
    CHECK(lists["top_logprobs"][i][token] == c.logprobs[i].logprob);
    if (token != "a") CHECK(lists["top_logprobs"][i]["a"] == -0.125f);
  }
}

TEST_CASE("body: offsets fit the text, and the last part of a character has its name") {
  auto r = parse(completion_of(R"("echo": true, "logprobs": 0, "max_tokens": 0)", "\"日本語 ok\""));
  Choice c = make_choice("x");
  c.prompt_logprobs = prompt_scores(r, {});
  Json choice = body_of(r, {c})["choices"][0], lists = choice["logprobs"];
  CHECK(choice["text"] == "日本語 ok");
  size_t n = r.prompts[0].size();
  REQUIRE(n == 11);  // one a byte
  CHECK(lists["text_offset"] == Json({0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 5}));
  CHECK(lists["tokens"] == Json({"", "", "日", "", "", "本", "", "", "語", " o", "k"}));
  CHECK(lists["top_logprobs"][1] == Json({{"", -2.0}}));
}

TEST_CASE("body: log-probabilities have the digits of a float32, as numbers that are no integers") {
  Choice c = make_choice("a", true);
  c.token_ids = {id_of("a")};
  c.logprobs = {{id_of("a"), -0.1f, {{id_of("a"), -0.1f}, {id_of("b"), -12.0f}}}};
  auto line_of = [&](const CompletionRequest& r) {
    return completion_body(r, {c}, {}, "3", kCreated, &tiny_docs());
  };
  auto has = [&](const std::string& line, const char* part) {
    return line.find(part) != std::string::npos;
  };
  auto chat = parse(chat_of(R"("logprobs": true, "top_logprobs": 2)"));
  CHECK(has(line_of(chat),
            R"({"token":"a","logprob":-0.1,"bytes":[97],"top_logprobs":[{"token":"a","logprob":)"
            R"(-0.1,"bytes":[97]},{"token":"b","logprob":-12.0,"bytes":[98]}]})"));
  auto text = parse(completion_of(R"("logprobs": 2)"));
  CHECK(has(line_of(text), R"("logprobs":{"tokens":["a"],"token_logprobs":[-0.1],)"
                           R"("top_logprobs":[{"a":-0.1,"b":-12.0}],"text_offset":[0]})"));
  c.logprobs[0].logprob = -INFINITY, c.logprobs[0].top[1].second = -1e-9f;
  CHECK(has(line_of(text), R"("token_logprobs":[null],"top_logprobs":[{"a":null,"b":-1e-09}])"));
}

TEST_CASE("body: no entry of top_logprobs hides another") {
  auto byte = [](char c) {
    int32_t id = 0;
    while (tiny_docs().token_bytes(id) != std::string(1, c)) ++id;
    return id;
  };
  int32_t first = byte('\xe6'), second = byte('\xe7');
  auto r = parse(completion_of(R"("logprobs": 4)"));
  Choice c{.token_ids = {first}, .text = "\xEF\xBF\xBD"};
  // 8190 and 8191 pad the vocabulary.
  c.logprobs = {{first, -3, {{second, -1}, {8190, -2}, {8191, -2.5f}, {id_of("<|im_end|>"), -4}}}};
  Json top = body_of(r, {c})["choices"][0]["logprobs"]["top_logprobs"][0];
  CHECK(top == Json({{"\xEF\xBF\xBD", -3.0},
                     {"bytes:\\xe7", -1.0},
                     {"token_id:8190", -2.0},
                     {"token_id:8191", -2.5},
                     {"<|im_end|>", -4.0}}));
  r.return_tokens_as_token_ids = true;
  Json lists = body_of(r, {c})["choices"][0]["logprobs"];
  CHECK(lists["tokens"][0] == number_name(first));
  CHECK(lists["top_logprobs"][0][number_name(second)] == -1);
}

TEST_CASE("body: echo is the prompt that was sent") {
  for (const char* sent : {"<|im_start|>user\nHi<|im_end|>", "cafe\u0301 au lait"}) {
    std::string json = Json(sent).dump();
    auto r = parse(completion_of(R"("echo": true)", json));
    CHECK(body_of(r, {make_choice("!")})["choices"][0]["text"] == std::string(sent) + "!");
  }
  auto r = parse(completion_of(R"("echo": true)", "[[8001, 39], \"two\", [40]]"));
  auto echo = [&](int32_t index) -> Json {
    Choice c = make_choice("!");
    c.index = index;
    return body_of(r, {c})["choices"][0]["text"];
  };
  CHECK(echo(0) == tiny_docs().decode(std::vector{8001, 39}, false) + "!");
  CHECK(echo(1) == "two!");
}

TEST_CASE("body: echo puts the prompt in front, with its own logprobs") {
  auto r = parse(completion_of(R"("echo": true, "logprobs": 1, "return_token_ids": true)",
                               "\"one two three\""));
  Choice c = make_choice(" four", true);
  c.prompt_logprobs = prompt_scores(r, {{id_of("a"), -1.0f}});
  Json choice = body_of(r, {c})["choices"][0];
  CHECK(choice["text"] == "one two three four");
  Json lists = choice["logprobs"];
  CHECK(lists["tokens"].size() == r.prompts[0].size() + c.token_ids.size());
  CHECK(lists["token_logprobs"][0].is_null());
  CHECK(lists["top_logprobs"][0].is_null());
  CHECK(lists["token_logprobs"][1] == -2.0f);
  CHECK(lists["text_offset"][r.prompts[0].size()] == 13);
  CHECK(choice["token_ids"] == c.token_ids);
}

TEST_CASE("body: max_tokens 0 scores the prompt only") {
  auto r = parse(completion_of(
      R"("echo": true, "logprobs": 0, "max_tokens": 0, "return_token_ids": true)", "\"one two\""));
  Choice c = make_choice("x", true);
  c.prompt_logprobs = prompt_scores(r, {});
  Json body = body_of(r, {c}, {2, 1, 0});
  CHECK(body["choices"][0]["text"] == "one two");
  CHECK(body["choices"][0]["finish_reason"] == "length");
  CHECK(body["choices"][0]["token_ids"].empty());
  CHECK(body["choices"][0]["logprobs"]["tokens"].size() == r.prompts[0].size());
  CHECK(body["usage"]["completion_tokens"] == 0);
  CHECK(body["usage"]["total_tokens"] == 2);
}

TEST_CASE("body: chat with max_tokens 0 answers nothing") {
  auto r = parse(chat_of(R"("max_tokens": 0, "return_token_ids": true, "logprobs": true)"));
  Json body = body_of(r, {make_choice("x", true)}, {9, 1, 0});
  Json choice = body["choices"][0];
  CHECK(choice["message"]["content"] == "");
  CHECK(choice["finish_reason"] == "length");
  CHECK(choice["token_ids"].empty());
  CHECK(choice["prompt_token_ids"] == r.prompts[0]);
  CHECK(choice["logprobs"]["content"].empty());
  CHECK(body["usage"]["completion_tokens"] == 0);
}

TEST_CASE("body: each choice echoes its own prompt") {
  auto r = parse(completion_of(R"("echo": true, "n": 2)", "[\"one\", \"two\"]"));
  Choice c = make_choice("!");
  c.index = 2;
  CHECK(body_of(r, {c})["choices"][0]["text"] == "two!");
}

TEST_CASE("body: without a tokenizer tokens have numbers for names") {
  CompletionContext context = make_context();
  context.tokenizer = nullptr;
  auto r = parse(completion_of(R"("logprobs": 1)", "[1, 2]"), context);
  Choice c{.token_ids = {7},
           .finish_reason = FinishReason::kLength,
           .logprobs = {{7, -1.0f, {{9, -0.5f}}}}};
  Json choice = Json::parse(completion_body(r, {c}, {}, "3", 0, nullptr))["choices"][0];
  CHECK(choice["text"] == "");
  CHECK(choice["token_ids"] == Json::array({7}));
  CHECK(choice["logprobs"]["tokens"][0] == "token_id:7");
  CHECK(choice["logprobs"]["top_logprobs"][0]["token_id:9"] == -0.5f);
}

TEST_CASE("body: numbers JSON has no word for, and broken UTF-8") {
  auto r = parse(completion_of(R"("logprobs": 0)"));
  Choice c = make_choice("x");
  c.logprobs = {{c.token_ids[0], -INFINITY, {}}};
  c.text = "bad \xff byte";
  Json j = body_of(r, {c});
  CHECK(j["choices"][0]["logprobs"]["token_logprobs"][0].is_null());
  CHECK(j["choices"][0]["text"] == "bad \xEF\xBF\xBD byte");
}

TEST_CASE("body: prompt_logprobs as vLLM lists them, and no more of them under echo") {
  Choice c = make_choice("x");
  c.prompt_logprobs = std::make_shared<std::vector<TokenLogprob>>(std::vector<TokenLogprob>{
      {2, -1.5f, {{7, -0.5f}, {2, -1.5f}, {9, -3}}}, {3, -8, {{7, -0.5f}}}});
  auto entry = [](int32_t id, float logprob, const Json& rank) {
    return Json{{"logprob", logprob},
                {"rank", rank},
                {"decoded_token", tiny_docs().decode(std::vector{id}, false)}};
  };
  Json right = {nullptr,
                {{"2", entry(2, -1.5f, 2)}, {"7", entry(7, -0.5f, 1)}},
                {{"3", entry(3, -8, nullptr)}, {"7", entry(7, -0.5f, 1)}}};
  auto r = parse(completion_of(R"("prompt_logprobs": 2)", "[1, 2, 3]"));
  CHECK(body_of(r, {c})["choices"][0]["prompt_logprobs"] == right);
  auto chat = parse(chat_of(R"("prompt_logprobs": 2)"));
  CHECK(body_of(chat, {c})["prompt_logprobs"] == right);
  auto echoed = parse(completion_of(
      R"("prompt_logprobs": 3, "echo": true, "logprobs": 1, "max_tokens": 0)", "[1, 2, 3]"));
  CHECK(body_of(echoed, {c})["choices"][0]["logprobs"]["top_logprobs"][1].size() == 2);
}

TEST_CASE("body: usage says which guessed tokens an answer has") {
  Usage usage{.prompt_tokens = 5, .completion_tokens = 7, .draft_tokens = 9, .accepted_tokens = 4};
  CompletionRequest r{.prompts = {{1, 2, 3, 4, 5}}};
  Json body = Json::parse(completion_body(r, {}, usage, "3", kCreated, &tiny_docs()));
  CHECK(body["usage"]["completion_tokens_details"] ==
        Json::parse(R"({"accepted_prediction_tokens": 4, "rejected_prediction_tokens": 5})"));
}

TEST_CASE("body: usage says what an answer cost where that is counted") {
  Usage usage{5, 7, 2, Cost{.device_seconds = 0.12345678912, .joules = 0, .computed_tokens = 9}};
  CompletionRequest r{.prompts = {{1, 2, 3, 4, 5}}};
  auto cost = [&] {
    Json body = Json::parse(completion_body(r, {}, usage, "3", kCreated, &tiny_docs()));
    return body["usage"]["litelang"];
  };
  CHECK(cost() == Json::parse(R"({"computed_tokens": 9, "device_seconds": 0.123456789})"));
  usage.cost->joules = 1.5;
  CHECK(cost()["joules"] == 1.5);
  usage.cost.reset();
  CHECK(cost().is_null());
}
