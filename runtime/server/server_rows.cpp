#include "runtime/server/server_rows.h"

namespace ll {

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
            "a file for a line of JSON a request; - is standard error"}})};
}

}  // namespace ll
