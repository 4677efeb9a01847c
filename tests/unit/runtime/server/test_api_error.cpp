#include "runtime/server/api_error.h"

#include <doctest/doctest.h>

using namespace ll;

TEST_CASE("an error names the field that is wrong") {
  CHECK(bad_request("temperature: \"hot\" is not a number").param == "temperature");
  CHECK(bad_request("prompt: has no tokens").param == "prompt");
  CHECK(bad_request("prompt: has no tokens", Endpoint::kChatCompletions).param == "messages");
  for (const char* message : {"body: not valid JSON at byte 3", "this model has no tokenizer",
                              "prompt of 5 tokens and max_tokens 7: too long", "Odd: 5", ""})
    CHECK(bad_request(message).param.empty());
}

TEST_CASE("errors as OpenAI's clients read them") {
  CHECK(
      error_json({.message = "n: \"x\"", .param = "n"}) ==
      R"({"error":{"message":"n: \"x\"","type":"invalid_request_error","param":"n","code":null}})");
  HttpResponse full = error_response(
      {.status = 429, .message = "full", .code = "server_overloaded", .retry_after = 2});
  CHECK(full.status == 429);
  CHECK(
      full.body ==
      R"({"error":{"message":"full","type":"rate_limit_error","param":null,"code":"server_overloaded"}})");
  CHECK(full.headers == HttpHeaders{{"Retry-After", "2"}});
  CHECK(error_response({.status = 401}).headers == HttpHeaders{{"WWW-Authenticate", "Bearer"}});
}
