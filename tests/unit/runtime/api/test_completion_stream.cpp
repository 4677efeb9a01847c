#include "runtime/api/completion_stream.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "runtime/api/completion_body.h"
#include "runtime/api/text_output.h"
#include "tests/unit/runtime/api/completion_context.h"

using namespace ll;
using namespace ll::test;

namespace {

using Json = nlohmann::json;

TokenLogprob scored(int32_t token, float logprob) {
  return {token, logprob, {{token, logprob}, {5, -9.0f}}};
}

// The deltas of one choice, as a desk makes them of its tokens.
std::vector<Delta> deltas_of(const CompletionRequest& r, const std::vector<int32_t>& tokens,
                             int32_t choice = 0) {
  TextOutput text(&tiny_docs(), r.text, 0);
  std::vector<Delta> deltas;
  for (size_t i = 0; i < tokens.size(); ++i) {
    bool is_last = text.push(tokens[i]) || i + 1 == tokens.size();
    if (is_last) text.finish();
    Delta d{.choice = choice, .text = text.take_settled(), .token = tokens[i]};
    if (r.params.logprobs >= 0) d.logprob = scored(tokens[i], -0.5f - static_cast<float>(i));
    if (is_last) d.finish_reason = text.is_stopped() ? FinishReason::kStop : FinishReason::kLength;
    if (i == 0 && r.params.prompt_logprobs >= 0) {
      auto scores = std::make_shared<std::vector<TokenLogprob>>();
      for (size_t p = 1; p < r.prompts[0].size(); ++p)
        scores->push_back(scored(r.prompts[0][p], -2));
      d.prompt_logprobs = std::move(scores);
    }
    deltas.push_back(std::move(d));
    if (is_last) break;
  }
  return deltas;
}

// What the body of the same answer says.
Json whole_of(const CompletionRequest& r, const std::vector<Delta>& deltas) {
  Choice c{.index = deltas[0].choice, .prompt_logprobs = deltas[0].prompt_logprobs};
  for (const Delta& d : deltas) {
    c.token_ids.push_back(d.token);
    c.text += d.text;
    if (d.logprob) c.logprobs.push_back(*d.logprob);
  }
  c.finish_reason = deltas.back().finish_reason;
  return Json::parse(completion_body(r, {c}, {}, "7", 1700000000, &tiny_docs()))["choices"][0];
}

std::vector<Json> chunks_of(const CompletionRequest& r, const std::vector<Delta>& deltas) {
  CompletionStream stream(std::make_shared<const CompletionRequest>(r), "7", 1700000000,
                          &tiny_docs());
  std::vector<Json> chunks;
  for (const Delta& d : deltas)
    for (const std::string& chunk : stream.push(d)) chunks.push_back(Json::parse(chunk));
  std::string last =
      stream.finish({.prompt_tokens = 3, .completion_tokens = 9, .cached_tokens = 2});
  if (!last.empty()) chunks.push_back(Json::parse(last));
  return chunks;
}

// All chunks of a choice put together again; lists that are not there do not count.
Json joined(const std::vector<Json>& chunks) {
  Json all{{"text", ""}, {"logprobs", nullptr}, {"finish_reason", nullptr}};
  for (const Json& chunk : chunks) {
    if (chunk["choices"].empty()) continue;
    const Json& c = chunk["choices"][0];
    CHECK(all["finish_reason"].is_null());
    all["finish_reason"] = c["finish_reason"];
    if (c.contains("text"))
      all["text"] = all["text"].get<std::string>() + c["text"].get<std::string>();
    if (c.contains("delta"))
      all["text"] = all["text"].get<std::string>() + c["delta"].value("content", "");
    if (c["logprobs"].is_null()) continue;
    for (const auto& [key, list] : c["logprobs"].items())
      for (const Json& one : list) all["logprobs"][key].push_back(one);
  }
  return all;
}

std::vector<int32_t> tokens_of(const std::string& text) { return tiny_docs().encode(text); }

}  // namespace

TEST_CASE("stream: chunks of a completion make up its body") {
  for (std::string text : {"the answer is here", "naïve 漢字 😀 end", " 😀", "one. two"})
    for (const char* fields :
         {R"("stream": true)", R"("stream": true, "logprobs": 1)",
          R"("stream": true, "stop": ". tw")",
          R"("stream": true, "stop": ["here!", "d?"], "logprobs": 0)",
          R"("stream": true, "echo": true, "logprobs": 1)", R"("stream": true, "echo": true)"}) {
      CAPTURE(text);
      CAPTURE(fields);
      auto r = parse(completion_of(fields));
      auto deltas = deltas_of(r, tokens_of(text));
      Json whole = whole_of(r, deltas), parts = joined(chunks_of(r, deltas));
      CHECK(parts["text"] == whole["text"]);
      CHECK(parts["finish_reason"] == whole["finish_reason"]);
      CHECK(parts["logprobs"] == whole["logprobs"]);
    }
}

TEST_CASE("stream: chunks of a chat") {
  auto r = parse(chat_of(R"("stream": true, "logprobs": true, "top_logprobs": 1)"));
  auto deltas = deltas_of(r, tokens_of(" naïve answer"));
  auto chunks = chunks_of(r, deltas);
  CHECK(chunks[0]["object"] == "chat.completion.chunk");
  CHECK(chunks[0]["id"] == "chatcmpl-7");
  CHECK(chunks[0]["choices"][0]["delta"] == Json{{"role", "assistant"}, {"content", ""}});
  Json whole = whole_of(r, deltas), parts = joined(chunks);
  CHECK(parts["text"] == whole["message"]["content"]);
  CHECK(parts["logprobs"] == whole["logprobs"]);
  for (const Json& chunk : chunks) {
    CHECK(chunk["choices"].size() == 1);
    CHECK_FALSE(chunk.contains("usage"));
  }
}

TEST_CASE("stream: calls of tools and reasoning, as in the body") {
  auto r = parse(chat_of(R"("stream": true)"));
  r.markup = {.has_reasoning = true, .has_calls = true};
  std::string text =
      "<think>So.</think>Look:\n<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": "
      "1}}</tool_call>";
  auto deltas = deltas_of(r, tokens_of(text));
  deltas.back().finish_reason = FinishReason::kStop;
  std::string reasoning, content, name, arguments, reason;
  for (const Json& chunk : chunks_of(r, deltas)) {
    const Json& choice = chunk["choices"][0];
    reasoning += choice["delta"].value("reasoning_content", "");
    content += choice["delta"].value("content", "");
    if (choice["finish_reason"].is_string()) reason = choice["finish_reason"];
    if (!choice["delta"].contains("tool_calls")) continue;
    const Json& call = choice["delta"]["tool_calls"][0];
    CHECK(call["index"] == 0);
    name += call["function"].value("name", "");
    arguments += call["function"].value("arguments", "");
    if (call.contains("id")) CHECK(call["id"] == "call_7_0_0");
  }
  CHECK(reason == "tool_calls");
  Json whole = whole_of(r, deltas);
  CHECK(whole["finish_reason"] == "tool_calls");
  const Json& message = whole["message"];
  CHECK(message["reasoning_content"] == reasoning);
  CHECK(message["content"] == content);
  CHECK(message["tool_calls"][0]["function"] == Json{{"name", name}, {"arguments", arguments}});
  CHECK(reasoning == "So.");
  CHECK(content == "Look:");
  CHECK(name == "f");
  CHECK(arguments == "{\"a\": 1}");
}

TEST_CASE("stream: each choice has a beginning and an end of its own") {
  auto r = parse(chat_of(R"("stream": true, "n": 2)"));
  std::vector<Delta> deltas;
  for (int32_t choice : {1, 0})
    for (Delta& d : deltas_of(r, tokens_of("a b"), choice)) deltas.push_back(d);
  int roles = 0, ends = 0;
  for (const Json& chunk : chunks_of(r, deltas)) {
    roles += chunk["choices"][0]["delta"].contains("role");
    ends += !chunk["choices"][0]["finish_reason"].is_null();
  }
  CHECK(roles == 2);
  CHECK(ends == 2);
}

TEST_CASE("stream: a token whose text is held back makes no chunk") {
  auto r = parse(completion_of(R"("stream": true, "stop": "fork!")"));
  auto tokens = tokens_of("fork");
  auto deltas = deltas_of(r, tokens);
  auto chunks = chunks_of(r, deltas);
  CHECK(chunks.size() == 1);
  CHECK(chunks[0]["choices"][0]["text"] == "fork");
}

TEST_CASE("stream: usage at the end, or all along, where it is asked for") {
  auto usage = [](const char* options) {
    auto r = parse(completion_of(std::string(R"("stream": true, "stream_options": )") + options));
    std::vector<Json> list;
    for (const Json& chunk : chunks_of(r, deltas_of(r, tokens_of("one two three"))))
      list.push_back(chunk.contains("usage") ? chunk["usage"] : Json("none"));
    return list;
  };
  for (const Json& one : usage(R"({"include_usage": false})")) CHECK(one == "none");
  auto last = usage(R"({"include_usage": true})");
  CHECK(last.back()["completion_tokens"] == 9);
  CHECK(last.back()["prompt_tokens_details"]["cached_tokens"] == 2);
  last.pop_back();
  CHECK_FALSE(last.empty());
  for (const Json& one : last) CHECK(one.is_null());
  int64_t before = 0;
  for (const Json& one : usage(R"({"include_usage": true, "continuous_usage_stats": true})")) {
    CHECK(one["completion_tokens"] > before);
    before = one["completion_tokens"];
  }
}

TEST_CASE("stream: max_tokens 0 says the prompt alone") {
  for (const char* echo : {"true", "false"}) {
    auto r =
        parse(completion_of(std::string(R"("stream": true, "max_tokens": 0, "echo": )") + echo));
    auto deltas = deltas_of(r, {5});
    CHECK(joined(chunks_of(r, deltas))["text"] == whole_of(r, deltas)["text"]);
    CHECK(joined(chunks_of(r, deltas))["finish_reason"] == "length");
  }
}
