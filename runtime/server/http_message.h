#pragma once
// Requests and answers of HTTP as values.
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ll {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  std::string method;   // "POST"; of HEAD requests "GET", whose answer is sent without its body
  std::string path;     // without the query
  std::string query;    // without the question mark
  HttpHeaders headers;  // names in lower case
  std::string body;

  // The first value of that name, which is in lower case; empty: there is none.
  std::string_view header(std::string_view name) const {
    for (const auto& [key, value] : headers)
      if (key == name) return value;
    return {};
  }
};

struct HttpResponse {
  int status = 200;
  std::string body;
  std::string content_type = "application/json";
  HttpHeaders headers = {};  // besides type, length and connection
};

}  // namespace ll
