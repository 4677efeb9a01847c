// /generate and /generate_stream, as the original's clients know them
#include <fmt/core.h>

#include "base/check.h"
#include "base/json_fields.h"
#include "runtime/server/body_reader.h"
#include "runtime/server/handlers.h"

namespace ll {
namespace {

constexpr int64_t kDefaultLength = 200;  // the original's

JsonTree::Member member(std::string key, JsonTree::Kind kind, std::string text) {
  JsonTree value;
  value.kind = kind;
  value.text = std::move(text);
  return {std::move(key), std::move(value)};
}

// The same as a body of /v1/completions.
CompletionRequest parse(const Service& s, const std::string& json, uint64_t seed) {
  using Kind = JsonTree::Kind;
  JsonTree body = JsonTree::parse(json, "body");
  check(body.is(Kind::kObject), "body: must be an object");
  JsonFields fields(body);
  const JsonTree* prompt = fields.find("prompt");
  check(prompt && prompt->is(Kind::kString), "prompt: must be a string");
  bool samples = fields.flag("do_sample", false);
  double temperature = fields.number("temperature", 0, 100, 1);
  double top_p = fields.number("top_p", 0, 1, 1);
  int64_t top_k = fields.integer("top_k", -1, INT32_MAX, 1);
  int64_t longest = s.config.scheduler.max_output_length;
  int64_t length =
      fields.integer("max_tokens", 0, INT32_MAX, longest > 0 ? longest : kDefaultLength);
  JsonTree same;
  same.kind = Kind::kObject;
  same.members = {{"prompt", *prompt},
                  member("temperature", Kind::kNumber, python_float(samples ? temperature : 0)),
                  member("top_p", Kind::kNumber, python_float(top_p)),
                  member("top_k", Kind::kNumber, std::to_string(top_k)),
                  member("max_tokens", Kind::kNumber, std::to_string(length))};
  CompletionRequest request = parse_completion(same, Endpoint::kCompletions, seed, s.context);
  check_fits(s, request);
  return request;
}

void generate(Service& s, CompletionRequest request, const HttpExchange& exchange) {
  AnswerWriter writer{
      .on_answer =
          [exchange](const Answer& a) {
            exchange.respond(
                {.body = fmt::format(R"({{"result": [{}]}})", json_string(a.choices.at(0).text))});
          },
      .on_error = [exchange](const ApiError& e) { exchange.respond(error_response(e)); }};
  open(s, std::move(request), s.config.server.request_timeout_s, exchange, std::move(writer));
}

void generate_stream(Service& s, CompletionRequest request, const HttpExchange& exchange) {
  AnswerWriter writer{
      .on_delta =
          [exchange](const Delta& delta) {
            if (delta.text.empty()) return;
            exchange.write(fmt::format("{{\"generated_text\": {}}}\n\n", json_string(delta.text)));
          },
      .on_answer = [exchange](const Answer&) { exchange.end(); },
      .on_error =
          [exchange](const ApiError& e) {
            exchange.write(error_json(e) + "\n\n");
            exchange.end();
          }};
  exchange.begin_stream("text/event-stream; charset=utf-8");
  open(s, std::move(request), s.config.server.request_timeout_s, exchange, std::move(writer));
}

void handle(Service& s, const HttpRequest& q, const HttpExchange& exchange,
            void (*answer)(Service&, CompletionRequest, const HttpExchange&)) {
  auto take = [&s, exchange, answer, seed = random_number()](const std::string& body) {
    auto request = std::make_shared<CompletionRequest>(parse(s, body, seed));
    return [&s, exchange, answer, request] {
      if (auto refused = refuse_work(s)) return exchange.respond(error_response(*refused));
      answer(s, std::move(*request), exchange);
    };
  };
  read_body(s, q, exchange, take);
}

}  // namespace

void handle_generate(Service& s, const HttpRequest& q, const HttpExchange& exchange) {
  handle(s, q, exchange, generate);
}

void handle_generate_stream(Service& s, const HttpRequest& q, const HttpExchange& exchange) {
  handle(s, q, exchange, generate_stream);
}

}  // namespace ll
