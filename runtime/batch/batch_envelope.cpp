#include "runtime/batch/batch_envelope.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/json_fields.h"
#include "base/printable.h"

namespace ll {
namespace {

using Json = nlohmann::ordered_json;

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

uint64_t seed_of_line(uint64_t seed, int64_t line) {
  uint64_t z = seed * 0x9E3779B97F4A7C15u + static_cast<uint64_t>(line);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  return z ^ (z >> 27);
}

}  // namespace

BatchLine read_batch_line(std::string_view json, std::string& custom_id) {
  BatchLine line{.record = JsonTree::parse(json, "JSON"), .url = ""};
  check(!line.record.is(JsonTree::Kind::kArray),
        "a list, not a JSON object: each request has a line of its own");
  check(line.record.is(JsonTree::Kind::kObject), "not a JSON object");
  JsonFields fields(line.record);
  custom_id = fields.text("custom_id", "");
  check(!custom_id.empty(), "custom_id: is missing");
  check(fields.text("method", "POST") == "POST", "method: must be POST");
  line.url = fields.text("url", "");
  auto endpoint = endpoint_of(line.url);
  check(endpoint.has_value(), "url: must be /v1/completions or /v1/chat/completions, not {}",
        printable(line.url, 60));
  line.endpoint = *endpoint;
  const JsonTree* body = fields.find("body");
  check(body && body->is(JsonTree::Kind::kObject), "body: must be an object");
  fields.check_all_read();
  return line;
}

CompletionRequest parse_batch_line(std::string_view json, int64_t number, uint64_t seed,
                                   const CompletionContext& context, std::string& custom_id) {
  BatchLine line = read_batch_line(json, custom_id);
  CompletionRequest request =
      parse_completion(line.body(), line.endpoint, seed_of_line(seed, number), context);
  check(!request.stream, "stream: a batch has no streams; leave it out");
  return request;
}

// The body is put in as it is: it need not be parsed to be written again.
std::string batch_record(int64_t line, std::string_view custom_id, std::string_view body) {
  return fmt::format(R"({{"id":"batch_req_{}","custom_id":{},"response":{{"status_code":200,)"
                     R"("request_id":"req_{}","body":{}}},"error":null}})",
                     line, dump(Json(custom_id)), line, body);
}

std::string batch_error_record(int64_t line, std::string_view custom_id, std::string_view message) {
  return dump({{"id", fmt::format("batch_req_{}", line)},
               {"custom_id", custom_id.empty() ? Json(nullptr) : Json(custom_id)},
               {"response", nullptr},
               {"error",
                {{"code", "invalid_request"},
                 {"message", fmt::format("line {}: {}", line, message)},
                 {"line", line}}}});
}

}  // namespace ll
