// /v1/completions and /v1/chat/completions
#include <fmt/core.h>

#include <ctime>
#include <random>

#include "base/check.h"
#include "base/json_fields.h"
#include "base/printable.h"
#include "runtime/api/completion_body.h"
#include "runtime/api/completion_stream.h"
#include "runtime/server/body_reader.h"
#include "runtime/server/handlers.h"

namespace ll {
namespace {

// The body, and what only a server asks of it.
struct Asked {
  CompletionRequest request;
  double timeout = 0;  // seconds; 0: none
};

void answer_whole(Service& s, Asked asked, const HttpExchange& exchange, const std::string& id) {
  auto created = static_cast<int64_t>(std::time(nullptr));
  AnswerWriter writer{
      .on_answer =
          [exchange, id, created, tokenizer = s.context.tokenizer](const Answer& a) {
            exchange.respond(
                {.body = completion_body(a.request, a.choices, a.usage, id, created, tokenizer)});
          },
      .on_error = [exchange](const ApiError& e) { exchange.respond(error_response(e)); }};
  open(s, std::move(asked.request), asked.timeout, exchange, std::move(writer));
}

std::string event(std::string_view json) { return fmt::format("data: {}\n\n", json); }

void answer_stream(Service& s, Asked asked, const HttpExchange& exchange, const std::string& id) {
  constexpr const char* kDone = "data: [DONE]\n\n";
  auto stream = std::make_shared<CompletionStream>(
      std::make_shared<const CompletionRequest>(asked.request), id,
      static_cast<int64_t>(std::time(nullptr)), s.context.tokenizer);
  AnswerWriter writer{.on_delta =
                          [exchange, stream](const Delta& delta) {
                            std::string events;
                            for (const std::string& c : stream->push(delta)) events += event(c);
                            exchange.write(events);
                          },
                      .on_answer =
                          [exchange, stream](const Answer& a) {
                            std::string last = stream->finish(a.usage);
                            exchange.write((last.empty() ? "" : event(last)) + kDone);
                            exchange.end();
                          },
                      .on_error =
                          [exchange](const ApiError& e) {
                            exchange.write(event(error_json(e)) + kDone);
                            exchange.end();
                          }};
  exchange.begin_stream("text/event-stream; charset=utf-8");
  open(s, std::move(asked.request), asked.timeout, exchange, std::move(writer));
}

Asked read(const Service& s, const std::string& json, Endpoint endpoint, uint64_t seed) {
  JsonTree body = JsonTree::parse(json, "body");
  Asked asked{parse_completion(body, endpoint, seed, s.context)};
  constexpr double kLongest = 1e6;
  asked.timeout =
      JsonFields(body).number("timeout", 0, kLongest, s.config.server.request_timeout_s);
  check_fits(s, asked.request);
  return asked;
}

void begin(Service& s, Asked asked, const HttpExchange& exchange) {
  if (auto refused = refuse_work(s)) return exchange.respond(error_response(*refused));
  if (auto refused = refuse_model(s, asked.request.model))
    return exchange.respond(error_response(*refused));
  std::string id = fmt::format("{:016x}{:016x}", random_number(), random_number());
  bool is_stream = asked.request.stream;
  (is_stream ? answer_stream : answer_whole)(s, std::move(asked), exchange, id);
}

void handle(Service& s, const HttpRequest& q, const HttpExchange& exchange, Endpoint endpoint) {
  auto take = [&s, exchange, endpoint, seed = random_number()](const std::string& body) {
    auto asked = std::make_shared<Asked>(read(s, body, endpoint, seed));
    return [&s, exchange, asked] { begin(s, std::move(*asked), exchange); };
  };
  read_body(s, q, exchange, take, endpoint);
}

}  // namespace

void open(Service& s, CompletionRequest request, double timeout, const HttpExchange& exchange,
          AnswerWriter writer) {
  int64_t key = s.open.open(std::move(request), std::move(writer));
  exchange.on_gone([&s, key] { s.open.abandon(key); });
  if (timeout == 0) return;
  auto expire = [&s, key] {
    s.open.fail(key, {.status = 408,
                      .message = "the answer was not complete in time (timeout)",
                      .code = "timeout"});
  };
  auto patience = std::chrono::milliseconds(static_cast<int64_t>(1000 * timeout));
  s.open.hold(key, s.http.after(patience, expire));
}

uint64_t random_number() {
  static std::mt19937_64 generator{(static_cast<uint64_t>(std::random_device()()) << 32) ^
                                   std::random_device()()};
  return generator();
}

std::optional<ApiError> refuse_work(const Service& s) {
  if (s.is_draining)
    return ApiError{.status = 503,
                    .message = "the server is shutting down",
                    .code = "shutting_down",
                    .retry_after = 5};
  if (std::string fault = s.loop.fault(); !fault.empty())
    return ApiError{.status = 503, .message = fault, .code = "unavailable", .retry_after = 5};
  if (s.open.num_choices() >= s.max_choices)
    return ApiError{.status = 429,
                    .message =
                        "too many requests wait already (scheduler.max_waiting); try again "
                        "later",
                    .code = "server_overloaded",
                    .retry_after = 1};
  return std::nullopt;
}

std::optional<ApiError> refuse_model(const Service& s, const std::string& name) {
  if (name == s.context.model_name || name == s.config.model.path) return std::nullopt;
  return ApiError{.status = 404,
                  .message = fmt::format("model: {} is not served here; {} is",
                                         printable(name, 200), s.context.model_name),
                  .param = "model",
                  .code = "model_not_found"};
}

void check_fits(const Service& s, const CompletionRequest& request) {
  for (size_t i = 0; i < request.prompts.size(); ++i) {
    Request one;
    one.prompt = request.prompts[i];
    one.params = request.params_of(i);
    s.pool.check_fits(one);
  }
}

void handle_completions(Service& s, const HttpRequest& q, const HttpExchange& exchange) {
  handle(s, q, exchange, Endpoint::kCompletions);
}

void handle_chat_completions(Service& s, const HttpRequest& q, const HttpExchange& exchange) {
  handle(s, q, exchange, Endpoint::kChatCompletions);
}

}  // namespace ll
