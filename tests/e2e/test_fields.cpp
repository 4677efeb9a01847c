// Fields beyond OpenAI's own, as vLLM means them, on one rank and on two that share the vocabulary.
#include <doctest/doctest.h>
#include <fmt/core.h>

#include <set>

#include "tests/e2e/batch.h"

using namespace ll::test;

namespace {

// Greedily: " is not aware of the fact that the kernel is not ..."
constexpr const char* kPrompt = "The kernel";

Json greedy_fields(const Json& more) {
  Json fields = {{"temperature", 0}, {"max_tokens", 24}, {"return_token_ids", true}};
  if (!more.is_null()) fields.update(more);
  return fields;
}

}  // namespace

TEST_CASE("tokens that are allowed, and words that are not") {
  for (int np : {1, 2})
    for (const char* async : {"true", "false"}) {
      CAPTURE(np);
      CAPTURE(async);
      Answers a = answer(
          {.np = np, .sets = {fmt::format("scheduler.async={}", async)}},
          {completion("free", kPrompt, greedy_fields({})),
           completion("two", kPrompt, greedy_fields({{"allowed_token_ids", {300, 8100}}})),
           completion("drawn", kPrompt,
                      greedy_fields({{"allowed_token_ids", {5, 4000, 8100}}, {"temperature", 5}})),
           completion("aware", kPrompt, greedy_fields({{"bad_words", {"aware"}}})),
           completion("phrase", kPrompt, greedy_fields({{"bad_words", {"aware of the fact"}}})),
           completion("phrases", kPrompt,
                      greedy_fields({{"bad_words", {"is not aware of", "not able to", "fact that"}},
                                     {"n", 3},
                                     {"temperature", 1},
                                     {"seed", 3}}))});
      auto drawn = [&](const std::string& id) {
        return a.choice(id)["token_ids"].get<std::set<int>>();
      };
      REQUIRE(a.text("free").starts_with(" is not aware of the fact"));
      for (int token : drawn("two")) CHECK((token == 300 || token == 8100));
      CHECK(drawn("drawn") == std::set<int>{5, 4000, 8100});
      CHECK(a.text("aware").find("aware") == std::string::npos);
      CHECK(a.text("phrase").starts_with(" is not aware of the "));
      CHECK(a.text("phrase").find("aware of the fact") == std::string::npos);
      for (size_t i = 0; i < 3; ++i) {
        std::string text = a.choice("phrases", i)["text"];
        for (const char* bad : {"is not aware of", "not able to", "fact that"})
          CHECK(text.find(std::string(" ") + bad) == std::string::npos);
      }
    }
}

TEST_CASE("more answers than sequences run at a time come in waves, and are those of one wave") {
  Json fields = {{"n", 7}, {"temperature", 1}, {"seed", 5}, {"max_tokens", 12}};
  std::vector<Json> requests = {completion("a", kPrompt, fields),
                                completion("b", "Git is a", fields)};
  Answers at_once = answer({}, requests);
  for (const char* seqs : {"1", "3"}) {
    CAPTURE(seqs);
    Answers waves =
        answer({.np = 2, .sets = {fmt::format("scheduler.max_num_seqs={}", seqs)}}, requests);
    for (const char* id : {"a", "b"})
      for (size_t i = 0; i < 7; ++i)
        CHECK(waves.choice(id, i)["text"] == at_once.choice(id, i)["text"]);
  }
}

TEST_CASE("prompts that are cut, and scored") {
  Answers a = answer(
      {},
      {completion("cut", Json{411, 628, 445, 300}, greedy_fields({{"truncate_prompt_tokens", 2}})),
       completion("short", Json{445, 300}, greedy_fields({})),
       completion("scored", Json{411, 628, 445}, greedy_fields({{"prompt_logprobs", 2}})),
       completion("echoed", Json{411, 628, 445},
                  greedy_fields({{"echo", true}, {"logprobs", 2}, {"max_tokens", 0}})),
       chat("chat", "Hi", {{"prompt_logprobs", 0}, {"temperature", 0}, {"max_tokens", 1}})});
  CHECK(a.choice("cut")["prompt_token_ids"] == Json{445, 300});
  CHECK(a.choice("cut")["text"] == a.choice("short")["text"]);
  const Json& scored = a.choice("scored")["prompt_logprobs"];
  const Json& echoed = a.choice("echoed")["logprobs"]["token_logprobs"];
  REQUIRE(scored.size() == 3);
  CHECK(scored[0].is_null());
  for (size_t i : {1, 2}) {
    const Json& entry = scored[i].at(std::to_string(i == 1 ? 628 : 445));
    CHECK(entry["logprob"].get<double>() == doctest::Approx(echoed[i].get<double>()));
    CHECK(scored[i].size() >= 2);
  }
  CHECK(a.by_id.at("chat")["prompt_logprobs"].size() > 3);
  CHECK(a.by_id.at("chat")["prompt_logprobs"][1].size() == 1);
}

TEST_CASE("how tokens and stops are shown, in both endpoints") {
  Json shown = {{"temperature", 0}, {"max_tokens", 6}, {"return_tokens_as_token_ids", true}};
  Json lists = shown, flags = shown;
  lists.update({{"logprobs", 1}});
  flags.update({{"logprobs", true}, {"top_logprobs", 1}});
  Json end = {{"temperature", 0},
              {"allowed_token_ids", {8002, 8000}},
              {"max_tokens", 3},
              {"ignore_eos", true},
              {"skip_special_tokens", false}};
  Json stop = {{"temperature", 0}, {"stop", {" the"}}, {"include_stop_str_in_output", true}};
  Answers a = answer({}, {completion("lists", kPrompt, lists), chat("flags", kPrompt, flags),
                          completion("end", kPrompt, end), chat("chat end", kPrompt, end),
                          completion("stop", kPrompt, stop), chat("chat stop", kPrompt, stop)});
  std::string name = a.choice("lists")["logprobs"]["tokens"][0];
  CHECK(name.starts_with("token_id:"));
  CHECK(a.choice("lists")["logprobs"]["top_logprobs"][0].contains(name));
  const Json& token = a.choice("flags")["logprobs"]["content"][0];
  CHECK(token["token"].get<std::string>().starts_with("token_id:"));
  CHECK(token["top_logprobs"][0]["token"].get<std::string>().starts_with("token_id:"));
  for (const std::string& text :
       {a.text("end"), a.choice("chat end")["message"]["content"].get<std::string>()})
    CHECK(text.find("<|") != std::string::npos);
  CHECK(a.text("stop").ends_with(" the"));
  CHECK(a.choice("chat stop")["finish_reason"] == "stop");
  CHECK(a.choice("chat stop")["message"]["content"].get<std::string>().ends_with(" the"));
}
