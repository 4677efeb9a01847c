#include "runtime/server/routes.h"

#include <fmt/core.h>


#include "base/ascii.h"
#include "base/printable.h"
#include "runtime/server/body_reader.h"
#include "runtime/server/handlers.h"

namespace ll {
namespace {

enum class Needs { kNothing, kKey, kEngine };  // each also what the one before it does

struct Route {
  std::string_view method, path;  // a path that ends in / stands for all below it, / for itself
  Needs needs;
  Handler handle;
};

constexpr Route kRoutes[] = {
    {"POST", "/v1/completions", Needs::kEngine, handle_completions},
    {"POST", "/v1/chat/completions", Needs::kEngine, handle_chat_completions},
    {"GET", "/v1/models", Needs::kKey, handle_models},
    {"GET", "/v1/models/", Needs::kKey, handle_model},
    {"POST", "/tokenize", Needs::kKey, handle_tokenize},
    {"POST", "/detokenize", Needs::kKey, handle_detokenize},
    {"GET", "/tokenizer_info", Needs::kKey, handle_tokenizer_info},
    {"POST", "/generate", Needs::kEngine, handle_generate},
    {"POST", "/generate_stream", Needs::kEngine, handle_generate_stream},
    {"GET", "/health", Needs::kNothing, handle_health},
    {"GET", "/health/ready", Needs::kNothing, handle_ready},
    {"GET", "/version", Needs::kNothing, handle_version},
    {"GET", "/metrics", Needs::kNothing, handle_metrics},
    {"GET", "/", Needs::kNothing, handle_page},
};

const Route* find_route(std::string_view path) {
  for (const Route& route : kRoutes) {
    bool is_folder = route.path.size() > 1 && route.path.ends_with('/');
    if (path == route.path || (is_folder && path.starts_with(route.path))) return &route;
  }
  return nullptr;
}

// In a time that does not tell how much of it is right.
bool is_equal(std::string_view a, std::string_view b) {
  unsigned difference = a.size() == b.size() ? 0 : 1;
  for (size_t i = 0; i < a.size(); ++i)
    difference |=
        static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(i < b.size() ? b[i] : ~a[i]);
  return difference == 0;
}

bool has_key(const Service& s, const HttpRequest& head) {
  if (s.api_key.empty()) return true;
  constexpr std::string_view kScheme = "Bearer ";
  std::string_view given = head.header("authorization");
  return given.starts_with(kScheme) && is_equal(given.substr(kScheme.size()), s.api_key);
}

// None is taken for JSON.
bool is_json(std::string_view content_type) {
  std::string type = ascii_lower(content_type.substr(0, content_type.find(';')));
  while (type.ends_with(' ')) type.pop_back();
  return type.empty() || type == "application/json";
}

std::string allowed_methods(const Route& route) {
  return route.method == "GET" ? "GET, HEAD" : std::string(route.method);
}

}  // namespace

HttpHeaders cors_headers(const Service& s, const HttpRequest& head) {
  const std::string& origin = s.config.server.cors_origin;
  if (origin.empty() || head.header("origin").empty()) return {};
  return {{"Access-Control-Allow-Origin", origin}, {"Vary", "Origin"}};
}

std::optional<HttpResponse> refuse(const Service& s, const HttpRequest& head) {
  const Route* route = find_route(head.path);
  if (!route)
    return error_response(
        {.status = 404, .message = fmt::format("no such path: {}", printable(head.path, 100))});
  if (head.method == "OPTIONS" && !s.config.server.cors_origin.empty())
    return HttpResponse{.status = 204,
                        .headers = {{"Access-Control-Allow-Methods", "GET, POST, OPTIONS"},
                                    {"Access-Control-Allow-Headers", "authorization, content-type"},
                                    {"Access-Control-Max-Age", "86400"}}};
  if (head.method != route->method) {
    HttpResponse response = error_response(
        {.status = 405,
         .message = fmt::format("{} takes {}", route->path, allowed_methods(*route))});
    response.headers.emplace_back("Allow", allowed_methods(*route));
    return response;
  }
  if (route->needs != Needs::kNothing && !has_key(s, head))
    return error_response({.status = 401,
                           .message = "the API key is missing or wrong: send it as Authorization: "
                                      "Bearer KEY",
                           .code = "invalid_api_key"});
  if (route->method == "POST" && !is_json(head.header("content-type")))
    return error_response({.status = 415, .message = "content-type: must be application/json"});
  if (route->needs != Needs::kEngine) return std::nullopt;
  if (auto error = refuse_work(s)) return error_response(*error);
  return std::nullopt;
}

void answer(Service& s, const HttpRequest& request, const HttpExchange& exchange) {
  guard(exchange, [&] { find_route(request.path)->handle(s, request, exchange); });
}

}  // namespace ll
