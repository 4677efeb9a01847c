#include "runtime/server/routes.h"

#include <fmt/core.h>

#include "base/ascii.h"
#include "base/printable.h"
#include "runtime/server/batches/batch_handlers.h"
#include "runtime/server/body_reader.h"
#include "runtime/server/handlers.h"

namespace ll {
namespace {

enum class Needs { kNothing, kKey, kBatches, kEngine };  // the last two also the key

struct Route {
  // * is one part of a path; one that ends in / is all below it, / alone itself
  std::string_view method, path;
  Needs needs;
  Handler handle;
};

constexpr Route kRoutes[] = {
    {"POST", "/v1/completions", Needs::kEngine, handle_completions},
    {"POST", "/v1/chat/completions", Needs::kEngine, handle_chat_completions},
    {"GET", "/v1/models", Needs::kKey, handle_models},
    {"GET", "/v1/models/", Needs::kKey, handle_model},
    {"POST", "/v1/files", Needs::kBatches, nullptr},  // see upload()
    {"GET", "/v1/files", Needs::kBatches, handle_files},
    {"GET", "/v1/files/*", Needs::kBatches, handle_file},
    {"DELETE", "/v1/files/*", Needs::kBatches, handle_delete_file},
    {"GET", "/v1/files/*/content", Needs::kBatches, handle_file_content},
    {"POST", "/v1/batches", Needs::kBatches, handle_create_batch},
    {"GET", "/v1/batches", Needs::kBatches, handle_batches},
    {"GET", "/v1/batches/*", Needs::kBatches, handle_batch},
    {"POST", "/v1/batches/*/cancel", Needs::kBatches, handle_cancel_batch},
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

bool matches(std::string_view pattern, std::string_view path) {
  bool is_folder = pattern.size() > 1 && pattern.ends_with('/');
  while (!pattern.empty() && !path.empty()) {
    if (pattern == "/" && is_folder) return true;
    bool is_any = pattern.front() == '*' && path.front() != '/';
    if (!is_any && pattern.front() != path.front()) return false;
    pattern.remove_prefix(1);
    path.remove_prefix(is_any ? std::min(path.find('/'), path.size()) : 1);
  }
  return pattern.empty() && path.empty();
}

// That of a method, or of any where none takes it; null: there is no such path.
const Route* find_route(std::string_view method, std::string_view path) {
  const Route* found = nullptr;
  for (const Route& route : kRoutes)
    if (matches(route.path, path) && (!found || route.method == method)) found = &route;
  return found;
}

std::string allowed_methods(std::string_view path) {
  std::string all;
  for (const Route& route : kRoutes)
    if (matches(route.path, path))
      all.append(all.empty() ? "" : ", ")
          .append(route.method == "GET" ? "GET, HEAD" : route.method);
  return all;
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

}  // namespace

HttpHeaders cors_headers(const Service& s, const HttpRequest& head) {
  const std::string& origin = s.config.server.cors_origin;
  if (origin.empty() || head.header("origin").empty()) return {};
  return {{"Access-Control-Allow-Origin", origin}, {"Vary", "Origin"}};
}

std::optional<HttpResponse> refuse(const Service& s, const HttpRequest& head) {
  const Route* route = find_route(head.method, head.path);
  if (!route)
    return error_response(
        {.status = 404, .message = fmt::format("no such path: {}", printable(head.path, 100))});
  if (head.method == "OPTIONS" && !s.config.server.cors_origin.empty())
    return HttpResponse{.status = 204,
                        .headers = {{"Access-Control-Allow-Methods", "GET, POST, DELETE, OPTIONS"},
                                    {"Access-Control-Allow-Headers", "authorization, content-type"},
                                    {"Access-Control-Max-Age", "86400"}}};
  if (head.method != route->method) {
    HttpResponse response = error_response(
        {.status = 405,
         .message = fmt::format("{} takes {}", route->path, allowed_methods(head.path))});
    response.headers.emplace_back("Allow", allowed_methods(head.path));
    return response;
  }
  if (route->needs != Needs::kNothing && !has_key(s, head))
    return error_response({.status = 401,
                           .message = "the API key is missing or wrong: send it as Authorization: "
                                      "Bearer KEY",
                           .code = "invalid_api_key"});
  if (route->needs == Needs::kBatches && !s.batches)
    return error_response(
        {.status = 404,
         .message = "this server has no folder for files and batches (server.batch_dir)"});
  if (route->method == "POST" && route->handle && !is_json(head.header("content-type")))
    return error_response({.status = 415, .message = "content-type: must be application/json"});
  if (route->needs != Needs::kEngine) return std::nullopt;
  if (auto error = refuse_work(s)) return error_response(*error);
  return std::nullopt;
}

std::optional<HttpUpload> upload(Service& s, const HttpRequest& head) {
  const Route* route = find_route(head.method, head.path);
  return route && !route->handle ? std::optional(upload_file(s, head)) : std::nullopt;
}

void answer(Service& s, const HttpRequest& q, const HttpExchange& exchange) {
  guard(exchange, [&] { find_route(q.method, q.path)->handle(s, q, exchange); });
}

}  // namespace ll
