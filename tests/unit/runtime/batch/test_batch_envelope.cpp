#include "runtime/batch/batch_envelope.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/unit/runtime/api/completion_context.h"

using namespace ll;
using namespace ll::test;
using Json = nlohmann::json;

namespace {

std::string envelope(const std::string& rest) { return R"({"custom_id": "x")" + rest + "}"; }

std::string completion_line(const std::string& fields) {
  return envelope(R"(, "url": "/v1/completions", "body": )" + completion_of(fields).body);
}

}  // namespace

TEST_CASE("batch line: the envelope round the body") {
  std::string id;
  CompletionContext context = make_context();
  auto error = [&](const std::string& line) {
    id.clear();
    return error_of([&] { parse_batch_line(line, 3, 0, context, id); });
  };
  CHECK(error("{").find("JSON") != std::string::npos);
  CHECK(error("[1]") == "a list, not a JSON object: each request has a line of its own");
  CHECK(error("7") == "not a JSON object");
  CHECK(error(R"({"url": "/v1/completions"})") == "custom_id: is missing");
  CHECK(error(R"({"custom_id": 5})") == "custom_id: 5 is not a string");
  CHECK(error(envelope(R"(, "method": "GET")")) == "method: must be POST");
  CHECK(id == "x");  // known as soon as it was read
  CHECK(error(envelope(R"(, "url": "/v1/embeddings")")) ==
        "url: must be /v1/completions or /v1/chat/completions, not /v1/embeddings");
  std::string url = R"(, "url": "/v1/completions")";
  CHECK(error(envelope(url)) == "body: must be an object");
  CHECK(error(envelope(url + R"(, "body": [1])")) == "body: must be an object");
  CHECK(error(envelope(url + R"(, "body": {}, "custom": 1)")) ==
        "unknown field custom; did you mean custom_id?");
  CHECK(error(completion_line("")) == "");  // method may be left out
  CHECK(error(completion_line(R"("stream": false)")) == "");
  CHECK(error(completion_line(R"("stream": true)")) ==
        "stream: a batch has no streams; leave it out");
}

TEST_CASE(
    "batch line: draws of bodies without a seed differ from line to line, not from run to run") {
  CompletionContext context = make_context();
  auto seed_of = [&](int64_t line, uint64_t seed, const std::string& fields = "") {
    std::string id;
    return parse_batch_line(completion_line(fields), line, seed, context, id).params.seed;
  };
  CHECK(seed_of(1, 0) == seed_of(1, 0));
  CHECK(seed_of(1, 0) != seed_of(2, 0));
  CHECK(seed_of(1, 0) != seed_of(1, 1));
  CHECK(seed_of(1, 0, R"("seed": 42)") == 42);
  CHECK(seed_of(1, 1, R"("seed": 42)") == 42);
}

TEST_CASE("batch record: the body as it is, whatever the id") {
  for (std::string id : {"c1", "say \"hi\"", "naÃ¯ve"}) {
    std::string record = batch_record(3, id, R"({"id":"cmpl-3","choices":[]})");
    CHECK(record.find('\n') == std::string::npos);
    CHECK(Json::parse(record) == Json{{"id", "batch_req_3"},
                                      {"custom_id", id},
                                      {"response",
                                       {{"status_code", 200},
                                        {"request_id", "req_3"},
                                        {"body", {{"id", "cmpl-3"}, {"choices", Json::array()}}}}},
                                      {"error", nullptr}});
  }
  CHECK(Json::parse(batch_record(1, "\xc3(", "{}"))["custom_id"] == "\xEF\xBF\xBD(");
}

TEST_CASE("batch record: an error") {
  Json j = Json::parse(batch_error_record(12, "id", "n: 0 is \"bad\""));
  CHECK(j["id"] == "batch_req_12");
  CHECK(j["custom_id"] == "id");
  CHECK(j["response"].is_null());
  CHECK(j["error"]["code"] == "invalid_request");
  CHECK(j["error"]["message"] == "line 12: n: 0 is \"bad\"");
  CHECK(j["error"]["line"] == 12);
  CHECK(Json::parse(batch_error_record(1, "", "x"))["custom_id"].is_null());
}
