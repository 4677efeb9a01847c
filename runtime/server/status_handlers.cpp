// What a server says of itself.
#include <fmt/core.h>

#include "base/json_tree.h"
#include "base/printable.h"
#include "runtime/server/handlers.h"
#include "runtime/server/url_text.h"
#include "runtime/version.h"

namespace ll {
namespace {

// Without a sign of life for so long, something hangs; no step takes that long.
constexpr double kHealthySeconds = 30;
// A forward pass of so long ago says nothing any more.
constexpr double kReadySeconds = 30;

std::string model_json(const Service& s) {
  return fmt::format(
      R"({{"id":{},"object":"model","created":{},"owned_by":"litelang","root":{},"parent":null,"max_model_len":{}}})",
      json_string(s.context.model_name), s.created, json_string(s.config.model.path),
      s.context.max_length);
}

// What is wrong with the ranks; empty: nothing.
std::string fault_of(const Service& s) {
  std::string fault = s.loop.fault();
  if (!fault.empty()) return fault;
  double silence = s.loop.seconds_since_sign_of_life();
  return silence < kHealthySeconds ? "" : fmt::format("no step has ended for {:.0f} s", silence);
}

void respond_unavailable(const HttpExchange& exchange, const std::string& why) {
  exchange.respond(error_response({.status = 503, .message = why, .code = "unavailable"}));
}

}  // namespace

void handle_models(Service& s, const HttpRequest&, const HttpExchange& exchange) {
  exchange.respond({.body = fmt::format(R"({{"object":"list","data":[{}]}})", model_json(s))});
}

void handle_model(Service& s, const HttpRequest& q, const HttpExchange& exchange) {
  std::string id =
      url_decoded(std::string_view(q.path).substr(std::string_view("/v1/models/").size()));
  if (id == s.context.model_name) return exchange.respond({.body = model_json(s)});
  exchange.respond(
      error_response({.status = 404,
                      .message = fmt::format("model: {} is not served here", printable(id, 200)),
                      .param = "model",
                      .code = "model_not_found"}));
}

void handle_health(Service& s, const HttpRequest&, const HttpExchange& exchange) {
  std::string fault = fault_of(s);
  if (!fault.empty()) return respond_unavailable(exchange, fault);
  exchange.respond({.body = R"({"status":"ok"})"});
}

// Ready is a server through whose ranks a forward pass has gone of late, or goes now.
void handle_ready(Service& s, const HttpRequest&, const HttpExchange& exchange) {
  std::string fault = s.is_draining ? "the server is shutting down" : fault_of(s);
  if (!fault.empty()) return respond_unavailable(exchange, fault);
  if (s.loop.seconds_since_pass() < kReadySeconds) return exchange.respond(ready_response());
  s.probe.ask(exchange);
}

void handle_version(Service&, const HttpRequest&, const HttpExchange& exchange) {
  exchange.respond({.body = fmt::format(R"({{"version":"{}"}})", kVersion)});
}

void handle_metrics(Service& s, const HttpRequest&, const HttpExchange& exchange) {
  exchange.respond(
      {.body = s.metrics.text(), .content_type = "text/plain; version=0.0.4; charset=utf-8"});
}

}  // namespace ll
