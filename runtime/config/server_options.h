#pragma once
// The section `server` of the configuration: where and how requests come in.
#include <cstddef>
#include <string>

namespace ll {

struct ServerOptions {
  enum class MetricsPrefix { kLitelang, kVllm };

  std::string host = "127.0.0.1";
  int port = 8000;                    // 0: any that is free
  std::string unix_socket;            // in the place of host and port
  std::string endpoint_file;          // gets the server's URL
  std::string api_key, api_key_file;  // empty: anybody may ask
  std::string served_model_name;      // empty: the last part of model.path
  int shutdown_timeout_s = 30;
  int request_timeout_s = 0;  // 0: none
  size_t max_body_bytes = size_t{64} << 20, stream_queue_bytes = size_t{16} << 20;
  int keep_alive_s = 75;
  std::string cors_origin;  // empty: no other
  MetricsPrefix metrics_prefix = MetricsPrefix::kLitelang;
  int log_interval_s = 5;  // 0: none
  std::string access_log;  // "-": standard error

  bool operator==(const ServerOptions&) const = default;
};

}  // namespace ll
