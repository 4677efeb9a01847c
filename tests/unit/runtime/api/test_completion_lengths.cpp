#include <doctest/doctest.h>

#include "tests/unit/runtime/api/completion_context.h"

using namespace ll;
using namespace ll::test;

TEST_CASE("completion: a default length is clipped to what fits, and one that was sent is not") {
  CompletionContext context = make_context();
  context.num_kv_positions = 20;
  auto length = [&](const Asked& asked) { return parse(asked, context).params.max_tokens; };
  auto prompt = static_cast<int32_t>(parse(chat_of("")).prompts[0].size());
  REQUIRE(prompt < 20);
  CHECK(length(chat_of("")) == 21 - prompt);  // the last token needs no position
  CHECK(length(chat_of(R"("max_tokens": null)")) == 21 - prompt);
  CHECK(length(chat_of(R"("max_tokens": 100)")) == 100);  // for the scheduler to refuse
  CHECK(length(chat_of(R"("max_completion_tokens": 100)")) == 100);
  CHECK(length(completion_of("", "[1,2,3,4,5,6,7,8,9,10]")) == 11);
  CHECK(length(completion_of("", "[1]")) == 16);
  // Nor is the default what a min_tokens can exceed.
  CHECK(length(completion_of(R"("min_tokens": 18)", "[1]")) == 18);
  CompletionRequest r = parse(completion_of(R"("min_tokens": 30)", "[1]"), context);
  CHECK(r.params.max_tokens == 20);
  CHECK(r.params.min_tokens == 20);
  CHECK(parse(chat_of(R"("min_tokens": 30)"), context).params.min_tokens == 21 - prompt);
}

TEST_CASE("completion: choices of a request are limited") {
  auto of = [](int prompts) {
    std::string list = "[[5]";
    for (int i = 1; i < prompts; ++i) list += ", [5]";
    return completion_of(R"("n": 1024)", list + "]");
  };
  CHECK(parse(of(16)).num_choices() == 16384);
  CHECK(refusal(of(17)) ==
        "n: 17 prompts times n = 1024 are 17408 choices, at most 16384 are taken in a request");
}
