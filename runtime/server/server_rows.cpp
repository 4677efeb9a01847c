#include "runtime/server/server_rows.h"

#include "base/check.h"

namespace ll {

namespace {

void check_server(const EngineConfig& config, std::string_view where) {
  const ServerOptions& o = config.server;
  if (o.tls_cert.empty() != o.tls_key.empty())
    fail_usage("{}: server.tls_cert and server.tls_key go together; server.{} is missing", where,
               o.tls_cert.empty() ? "tls_cert" : "tls_key");
}

}  // namespace

ConfigSection server_rows() {
  using S = ServerOptions;
  using Prefix = S::MetricsPrefix;
  return {
      .rows = rows_of<S>(
          "server", [](EngineConfig& c) -> S& { return c.server; },
          {{"host", text(&S::host), "address to listen on; 0.0.0.0: all of this host's"},
           {"port", whole(&S::port, 0, 65535), "0: any that is free, see endpoint_file"},
           {"unix_socket", text(&S::unix_socket),
            "a path to listen on, in the place of host and port"},
           {"endpoint_file", text(&S::endpoint_file),
            "a file that holds the server's URL while it serves"},
           {"tls_cert", text(&S::tls_cert),
            "a file with the certificate and its chain, in PEM; empty: no TLS"},
           {"tls_key", text(&S::tls_key), "a file with the certificate's private key, in PEM"},
           {"api_key", text(&S::api_key), "that clients must bring; empty: none"},
           {"api_key_file", text(&S::api_key_file), "a file with that key"},
           {"served_model_name", text(&S::served_model_name),
            "what clients call the model; empty: the last part of model.path"},
           {"shutdown_timeout_s", whole(&S::shutdown_timeout_s, 0, 1'000'000),
            "time for open requests after SIGTERM, SIGINT or SIGUSR1"},
           {"request_timeout_s", whole(&S::request_timeout_s, 0, 1'000'000),
            "a request that takes longer is ended; 0: none is"},
           {"max_body_bytes", bytes(&S::max_body_bytes), "of a request"},
           {"stream_queue_bytes", bytes(&S::stream_queue_bytes),
            "a client with more of its answer unread is cut off"},
           {"keep_alive_s", whole(&S::keep_alive_s, 1, 1'000'000),
            "a connection without requests lives so long"},
           {"cors_origin", text(&S::cors_origin),
            "pages of this origin may ask, too (*: of any); empty: none"},
           {"metrics_prefix",
            choice(&S::metrics_prefix, {{"litelang", Prefix::kLitelang}, {"vllm", Prefix::kVllm}}),
            "of the names in /metrics"},
           {"log_interval_s", whole(&S::log_interval_s, 0, 1'000'000),
            "between two lines about the load; 0: none"},
           {"access_log", text(&S::access_log),
            "a file for a line of JSON a request; - is standard error"},
           {"batch_dir", text(&S::batch_dir),
            "a folder for the files and batches of /v1/batches; empty: there are none"},
           {"max_file_bytes", bytes(&S::max_file_bytes), "of a file that is uploaded"},
           {"batch_max_seqs", whole(&S::batch_max_seqs, 0, 65536),
            "answers of batches at a time; 0: three quarters of all"},
           {"trace", text(&S::trace),
            "a file for a timeline of the device's last steps (chrome://tracing, Perfetto)"},
           {"trace_steps", whole(&S::trace_steps, 2, 1'000'000), "steps in it"}}),
      .check = check_server};
}

}  // namespace ll
