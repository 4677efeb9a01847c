#include "runtime/api/token_limits.h"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/unit/runtime/api/completion_context.h"

using namespace ll;
using namespace ll::test;

namespace {

SamplingParams params_of(const std::string& fields) { return parse(completion_of(fields)).params; }

bool is_forbidden(const SamplingParams& p, int32_t token) {
  return std::any_of(p.logit_bias.begin(), p.logit_bias.end(),
                     [&](auto b) { return b.first == token && std::isinf(b.second); });
}

}  // namespace

TEST_CASE("allowed_token_ids") {
  CHECK(params_of("").only_allowed == 0);
  SamplingParams p = params_of(R"("allowed_token_ids": [7, 8191])");
  CHECK(p.only_allowed == 1);
  CHECK(p.has_penalties());
  CHECK(p.allowed_token_ids == std::vector<int32_t>{7, 8191});
  for (const char* bad : {"[]", "7", "[8192]", "[-1]", "[1.5]", "[\"a\"]"})
    CHECK(contains(refusal(completion_of(std::string(R"("allowed_token_ids": )") + bad)),
                   "allowed_token_ids: "));
  std::vector<int32_t> call = tiny_docs().encode(" call");
  REQUIRE(call.size() == 1);
  CHECK(contains(refusal(completion_of(
                     fmt::format(R"("allowed_token_ids": [{}], "bad_words": [" call"])", call[0]))),
                 "bad_words forbids all of them"));
}

TEST_CASE("bad_words: alone and behind a space, of one token and of several") {
  std::vector<int32_t> alone = tiny_docs().encode("call"), behind = tiny_docs().encode(" call");
  SamplingParams p = params_of(R"("bad_words": ["call"])");
  auto has = [&](const std::vector<int32_t>& word) {
    return word.size() == 1 ? is_forbidden(p, word[0])
                            : std::count(p.bad_words.begin(), p.bad_words.end(), word) == 1;
  };
  CHECK(has(alone));
  CHECK(has(behind));
  p = params_of(R"("bad_words": ["  system call  handler"])");
  CHECK(has(tiny_docs().encode("system call  handler")));
  CHECK(params_of(R"("bad_words": [])").bad_words.empty());
  for (const char* bad : {"\"call\"", "[7]", "[\"\"]", "[\" \"]"})
    CHECK(contains(refusal(completion_of(std::string(R"("bad_words": )") + bad)), "bad_words: "));
}

TEST_CASE("truncate_prompt_tokens: the last tokens alone") {
  auto prompts = [](const std::string& fields) {
    return parse(completion_of(fields, "[[1, 2, 3, 4], [5], [6, 7, 8]]")).prompts;
  };
  using Prompts = std::vector<std::vector<int32_t>>;
  CHECK(prompts(R"("truncate_prompt_tokens": 2)") == Prompts{{3, 4}, {5}, {7, 8}});
  CHECK(prompts(R"("truncate_prompt_tokens": -1)") == Prompts{{1, 2, 3, 4}, {5}, {6, 7, 8}});
  CompletionContext context = make_context();
  context.max_length = 3;
  CHECK(parse(completion_of(R"("truncate_prompt_tokens": -1)", "[1, 2, 3, 4]"), context).prompts ==
        Prompts{{3, 4}});
  for (const char* bad : {"0", "-2", "4097", "true"})
    CHECK(contains(refusal(completion_of(std::string(R"("truncate_prompt_tokens": )") + bad)),
                   "truncate_prompt_tokens: "));
  auto echoed =
      parse(completion_of(R"("truncate_prompt_tokens": 1, "echo": true)", "\"Hi there\""));
  CHECK_FALSE(echoed.sent_texts.at(0).has_value());
  CHECK(parse(chat_of(R"("truncate_prompt_tokens": 3)")).prompts.at(0).size() == 3);
}

TEST_CASE("prompt_logprobs: beside what echo asks for") {
  CHECK(params_of(R"("prompt_logprobs": 2)").prompt_logprobs == 2);
  auto r = parse(completion_of(R"("prompt_logprobs": 2, "echo": true, "logprobs": 5)"));
  CHECK(r.prompt_logprobs == 2);
  CHECK(r.params.prompt_logprobs == 5);
  CHECK(parse(chat_of(R"("prompt_logprobs": 0)")).prompt_logprobs == 0);
  CHECK(contains(refusal(completion_of(R"("prompt_logprobs": -1)")), "prompt_logprobs: "));
}
