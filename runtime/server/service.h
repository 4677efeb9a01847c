#pragma once
// What the handlers of requests work with.
#include <cstdint>
#include <string>

#include "runtime/config/engine_config.h"
#include "runtime/config/model_files.h"
#include "runtime/server/http_server.h"
#include "runtime/server/open_requests.h"
#include "runtime/server/ready_probe.h"
#include "runtime/server/worker.h"

namespace ll {

struct BatchService;

struct Service {
  const EngineConfig& config;
  const CompletionContext& context;
  const ModelTexts& texts;
  ReplicaPool& pool;  // only for check_fits(), which any thread may ask
  HttpServer& http;
  ServeLoop& loop;
  ServerMetrics& metrics;
  OpenRequests& open;
  ReadyProbe& probe;
  Worker& reader;                   // of long bodies
  BatchService* batches = nullptr;  // null: there is no folder for them
  std::string api_key;              // empty: anybody may ask
  int64_t max_choices = 0;          // of all open requests, from which on none is taken
  int64_t created = 0;              // Unix time of the start
  bool is_draining = false;         // takes no more requests
};

}  // namespace ll
