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
  std::string tls_cert, tls_key;      // files in PEM; empty: no TLS
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
  std::string batch_dir;   // of /v1/files and /v1/batches; empty: neither is served
  size_t max_file_bytes = size_t{512} << 20;
  int batch_max_seqs = 0;  // 0: three quarters of max_num_seqs
  std::string trace;       // empty: none
  int trace_steps = 10'000;

  bool operator==(const ServerOptions&) const = default;
};

}  // namespace ll
