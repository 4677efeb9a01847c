#include "runtime/server/http_head.h"

#include <fmt/core.h>

#include <boost/beast/http/status.hpp>
#include <ctime>
#include <ostream>  // what Boost 1.81's header leaves to others

namespace ll {
namespace {

std::string date() {
  std::time_t now = std::time(nullptr);
  std::tm parts = {};
  gmtime_r(&now, &parts);
  char text[64];
  size_t size = std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return {text, size};
}

std::string_view reason_of(int status) {
  namespace http = boost::beast::http;
  auto reason = http::obsolete_reason(static_cast<http::status>(status));
  return {reason.data(), reason.size()};
}

}  // namespace

std::string response_head(int status, const HttpHeaders& headers) {
  std::string head =
      fmt::format("HTTP/1.1 {} {}\r\nDate: {}\r\n", status, reason_of(status), date());
  for (const auto& [name, value] : headers)
    head.append(name).append(": ").append(value).append("\r\n");
  return head;
}

}  // namespace ll
