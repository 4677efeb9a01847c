#include "runtime/server/api_error.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/json_tree.h"

namespace ll {
namespace {

const char* type_of(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 404:
      return "not_found_error";
    case 429:
      return "rate_limit_error";
    default:
      return status < 500 ? "invalid_request_error" : "server_error";
  }
}

std::string text_or_null(std::string_view text) {
  return text.empty() ? "null" : json_string(text);
}

// The word in front of the first colon, if it is the name of a field.
std::string_view field_of(std::string_view message) {
  std::string_view name = message.substr(0, message.find(": "));
  bool is_name = name.size() < message.size() && std::all_of(name.begin(), name.end(), [](char c) {
                   return (c >= 'a' && c <= 'z') || c == '_';
                 });
  return is_name && name != "body" ? name : std::string_view();
}

}  // namespace

ApiError bad_request(std::string_view message, Endpoint endpoint) {
  std::string_view param = field_of(message);
  if (endpoint == Endpoint::kChatCompletions && param == "prompt") param = "messages";
  return {.message = std::string(message), .param = std::string(param)};
}

std::string error_json(const ApiError& e) {
  return fmt::format(R"({{"error":{{"message":{},"type":"{}","param":{},"code":{}}}}})",
                     json_string(e.message), type_of(e.status), text_or_null(e.param),
                     text_or_null(e.code));
}

HttpResponse error_response(const ApiError& e) {
  HttpResponse response{.status = e.status, .body = error_json(e)};
  if (e.retry_after > 0)
    response.headers.emplace_back("Retry-After", std::to_string(e.retry_after));
  if (e.status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
  return response;
}

}  // namespace ll
