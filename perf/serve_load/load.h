#pragma once
// Streams that many clients ask a server for at once, on one thread.
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace ll {

struct LoadTarget {
  std::string host = "127.0.0.1", port = "8000";
  std::string path = "/v1/completions";
  std::string api_key = {};  // empty: none
  bool is_tls = false;
  bool checks_certificate = true;  // by the system's certificates, or those of SSL_CERT_FILE

  // "https://HOST:PORT"
  std::string origin() const { return (is_tls ? "https://" : "http://") + host + ":" + port; }
};
// "http://HOST:PORT" or "https://HOST:PORT" names one, or with a path that `endpoint` is appended
// to. Throws Error.
LoadTarget parse_target(const std::string& base_url, const std::string& endpoint);

struct LoadRequest {
  std::string body;          // JSON
  double start = 0;          // seconds from the beginning
  int64_t leave_after = -1;  // events of the stream, after which the client goes away; -1: never
};

// Times in seconds from the beginning.
struct LoadAnswer {
  std::string error = {};  // empty: it came whole
  bool was_sent = false, has_left = false;
  double start = 0, first_token = 0, end = 0;
  std::vector<double> gaps = {};  // between events that bring text
  int64_t prompt_tokens = 0, tokens = 0;

  bool is_whole() const { return was_sent && !has_left && error.empty(); }
};

struct LoadLimits {
  int64_t streams = std::numeric_limits<int64_t>::max();  // at a time
  double last_start = std::numeric_limits<double>::infinity();
};

// Sends each request at its time, or later when there is no room for it; not at all after
// limits.last_start. Returns their answers, in order. No word of a server for 10 minutes is an
// error.
std::vector<LoadAnswer> run_load(const LoadTarget& target, const std::vector<LoadRequest>& requests,
                                 const LoadLimits& limits);

// The body of an answer to GET. Throws Error unless the status is 200.
std::string get(const LoadTarget& target, const std::string& path);

}  // namespace ll
