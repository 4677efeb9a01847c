#include "runtime/server/server.h"

#include <unistd.h>

#include <ctime>
#include <future>
#include <optional>
#include <semaphore>
#include <thread>

#include "base/check.h"
#include "base/durable_file.h"
#include "base/input_file.h"
#include "runtime/server/batches/batch_service.h"
#include "runtime/server/load_log.h"
#include "runtime/server/routes.h"
#include "runtime/server/service.h"

namespace ll {
namespace {

// Steps whose news the clients' side has not taken in yet; beyond it the engine waits.
constexpr int kMostNews = 16;
constexpr auto kFlushTime = std::chrono::milliseconds(2000),
               kLastWordsTime = std::chrono::milliseconds(300);

std::string read_key(const ServerOptions& o) {
  if (o.api_key_file.empty()) return o.api_key;
  constexpr size_t kMaxKeyBytes = 4096;
  std::string key = InputFile(o.api_key_file).read_all(kMaxKeyBytes);
  while (!key.empty() && (key.back() == '\n' || key.back() == '\r')) key.pop_back();
  check(!key.empty(), "server.api_key_file = {}: holds no key", o.api_key_file);
  return key;
}

HttpOptions http_options(const ServerOptions& o) {
  return {.host = o.host,
          .port = o.port,
          .unix_socket = o.unix_socket,
          .tls_cert = o.tls_cert,
          .tls_key = o.tls_key,
          .max_body_bytes = o.max_body_bytes,
          .max_upload_bytes = o.max_file_bytes,
          .max_queued_bytes = o.stream_queue_bytes,
          .keep_alive = std::chrono::seconds(o.keep_alive_s)};
}

// Gone with the server.
class EndpointFile {
 public:
  EndpointFile(std::string path, const std::string& url) : path_(std::move(path)) {
    if (!path_.empty()) write_durably(path_, url + "\n");
  }
  ~EndpointFile() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  EndpointFile(const EndpointFile&) = delete;
  EndpointFile& operator=(const EndpointFile&) = delete;

 private:
  std::string path_;
};

}  // namespace

struct Server::State {
  explicit State(const EngineConfig& c);
  void begin_drain();
  void serve_http(ServeLoop& loop);

  const EngineConfig& config;
  std::string api_key;
  Service* service = nullptr;  // while it runs; of the server's thread
  HttpServer http;
  std::optional<BatchStore> store;
  HttpTimer end_of_drain, end_of_words;
};

Server::State::State(const EngineConfig& c)
    : config(c),
      api_key(read_key(c.server)),
      http(http_options(c.server),
           {.refuse = [this](const HttpRequest& head) { return refuse(*service, head); },
            .upload = [this](const HttpRequest& head) { return upload(*service, head); },
            .answer = [this](const HttpRequest& request,
                             const HttpExchange& exchange) { answer(*service, request, exchange); },
            .describe_error =
                [](int status, std::string_view why) {
                  return error_response({.status = status, .message = std::string(why)});
                },
            .add_headers =
                [this](const HttpRequest& head) { return cors_headers(*service, head); }}) {
  if (!c.server.batch_dir.empty()) store.emplace(c.server.batch_dir);
}

// On the server's thread.
void Server::State::begin_drain() {
  Service& s = *service;
  if (s.is_draining) return;
  s.is_draining = true;
  if (s.batches) s.batches->runner.stop();
  if (s.open.is_empty()) return s.loop.stop();
  s.open.on_empty([&s] { s.loop.stop(); });
  end_of_drain = http.after(std::chrono::seconds(config.server.shutdown_timeout_s), [&s] {
    s.open.fail_all({.status = 503,
                     .message = "the server shut down before the answer was complete "
                                "(server.shutdown_timeout_s)",
                     .code = "shutting_down"});
  });
}

void Server::State::serve_http(ServeLoop& loop) {
  try {
    http.run();
  } catch (...) {
    loop.fail(std::current_exception());
  }
}

Server::Server(const EngineConfig& config) : state_(std::make_unique<State>(config)) {}
Server::~Server() = default;

void Server::run(const ServedModel& model, ReplicaPool& pool, int64_t max_choices,
                 const std::function<std::string()>& look) {
  const EngineConfig& config = state_->config;
  const CompletionContext& context = model.context;
  HttpServer& http = state_->http;
  bool is_vllm = config.server.metrics_prefix == ServerOptions::MetricsPrefix::kVllm;
  ServerMetrics metrics(is_vllm ? "vllm" : "litelang", context.model_name);
  std::counting_semaphore<> room(kMostNews);
  OpenRequests* requests = nullptr;
  ServeLoop loop(context, pool, [&](StepNews news) {
    bool has_room = room.try_acquire_for(std::chrono::seconds(10));
    http.post([&, has_room, all = std::make_shared<const StepNews>(std::move(news))] {
      requests->take(*all);
      if (has_room) room.release();
    });
  });
  OpenRequests open(loop, metrics);
  requests = &open;
  ReadyProbe probe(http, open);
  Worker reader(http);
  Service service{.config = config,
                  .context = context,
                  .texts = model.texts,
                  .pool = pool,
                  .http = http,
                  .loop = loop,
                  .metrics = metrics,
                  .open = open,
                  .probe = probe,
                  .reader = reader,
                  .api_key = state_->api_key,
                  .max_choices = max_choices,
                  .created = static_cast<int64_t>(std::time(nullptr))};
  std::optional<BatchService> batches;
  if (state_->store) {
    batches.emplace(service, *state_->store, model.identity);
    service.batches = &*batches;
  }
  LoadLog log(service);
  state_->service = &service;
  http.listen();
  std::thread io([&] { state_->serve_http(loop); });
  auto leave = [&](std::chrono::milliseconds patience) {
    http.stop(patience);
    io.join();
    state_->service = nullptr;
  };
  try {
    EndpointFile endpoint(config.server.endpoint_file, http.url());
    fmt::print(stderr, "serving {} on {}\n", context.model_name, http.url());
    loop.run(look);
  } catch (const std::exception& e) {
    give_up(e.what());
    leave(kLastWordsTime);
    throw;
  }
  leave(kFlushTime);
}

void Server::drain() {
  state_->http.post([s = state_.get()] { s->begin_drain(); });
}

void Server::give_up(const std::string& why) {
  auto told = std::make_shared<std::promise<void>>();
  auto is_told = told->get_future();
  state_->http.post([s = state_.get(), why, told] {
    s->service->is_draining = true;
    s->service->open.fail_all({.status = 503, .message = why, .code = "engine_error"});
    // The words go out before the next turn of this thread.
    s->end_of_words = s->http.after(std::chrono::milliseconds(20), [told] { told->set_value(); });
  });
  is_told.wait_for(kLastWordsTime);
}

}  // namespace ll
