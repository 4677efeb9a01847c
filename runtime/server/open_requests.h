#pragma once
// The requests that clients wait for: hands them to the engine, what comes of them to whoever
// writes it down for the client. On the server's thread.
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "runtime/server/api_error.h"
#include "runtime/server/http_server.h"
#include "runtime/server/serve_loop.h"
#include "runtime/server/server_metrics.h"

namespace ll {

// Writes an answer down. All are called on the server's thread; on_answer or on_error once, as the
// last.
struct AnswerWriter {
  std::function<void(const Delta&)> on_delta = {};  // may be empty
  std::function<void(const Answer&)> on_answer;
  std::function<void(const ApiError&)> on_error;
};

// What a request came to, for the access log.
struct RequestSummary {
  std::string id;
  int status = 200;
  const char* outcome = "";  // "stop", "length", "abort", "error"
  int64_t prompt_tokens = 0, tokens = 0;
  RequestTimes times;
};

class OpenRequests {
 public:
  // The loop and the metrics outlive this.
  OpenRequests(ServeLoop& loop, ServerMetrics& metrics) : loop_(loop), metrics_(metrics) {}

  // A client's request; one of a batch, which waits for room behind all others and is no measure of
  // how long that takes; or nobody's, which is not counted at all.
  enum class Kind : uint8_t { kClient, kBatch, kProbe };
  // A request that fits. Returns its key.
  int64_t open(CompletionRequest request, AnswerWriter writer, Kind kind = Kind::kClient);
  // A timer that is dropped with the request.
  void hold(int64_t key, HttpTimer timer);
  // The client has left: nothing is written any more.
  void abandon(int64_t key);
  // Ends a request with an error, if it is open.
  void fail(int64_t key, const ApiError& error);
  void fail_all(const ApiError& error);

  void take(const StepNews& news);

  bool is_empty() const { return open_.empty(); }
  // Answers that are open, of all requests but those of batches.
  int64_t num_choices() const { return num_choices_; }
  void on_end(std::function<void(const RequestSummary&)> tell) { tell_ = std::move(tell); }
  void on_empty(std::function<void()> act) { on_empty_ = std::move(act); }

 private:
  using Clock = std::chrono::steady_clock;
  struct Open {
    std::shared_ptr<const AnswerWriter> writer;
    Clock::time_point came;
    RequestTimes times;
    HttpTimer timer;
    std::vector<double> last_token;  // of each choice, seconds since it came; negative: none yet
    int64_t prompt_tokens = 0, tokens = 0, n = 1, max_tokens = 0;
    bool drops_output = false;
    Kind kind = Kind::kClient;
  };

  void count_abort(const Open& one);
  void take_delta(const Delta& delta, Clock::time_point now);
  void take_answer(const Answer& answer, Clock::time_point now);
  void close(int64_t key, Clock::time_point now, int status, const char* outcome);

  ServeLoop& loop_;
  ServerMetrics& metrics_;
  std::unordered_map<int64_t, Open> open_;
  int64_t last_key_ = 0, num_choices_ = 0;
  std::function<void(const RequestSummary&)> tell_;
  std::function<void()> on_empty_;
};

}  // namespace ll
