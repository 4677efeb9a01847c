#pragma once
// What a server counts, under the names that vLLM's dashboards know.
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/schedule/rank_times.h"
#include "runtime/schedule/request.h"
#include "runtime/schedule/scheduler.h"
#include "runtime/server/histogram.h"

namespace ll {

// The times of a request, in seconds since it came; negative: not yet.
struct RequestTimes {
  double started = -1;      // its prompt began to run
  double first_token = -1;  // of any of its answers
  double end = -1;
};

class ServerMetrics {
 public:
  // Names begin with `prefix` and a colon.
  ServerMetrics(std::string_view prefix, std::string_view model_name);

  void observe_start(const RequestTimes& times) { queue_time_.observe(times.started); }
  void observe_first_token(double seconds) { first_token_.observe(seconds); }
  // Between two tokens of an answer.
  void observe_gap(double seconds) { gap_.observe(seconds); }
  void count_tokens(int64_t count) { num_tokens_ += count; }
  void observe_step(int64_t num_tokens) { step_tokens_.observe(static_cast<double>(num_tokens)); }
  // `reason` is an answer's; kNone and kAborted: its client left, or it was ended.
  void count_end(FinishReason reason);
  // `tokens` are those of all `choices`; `n` as the request has it, for each of its prompts.
  void observe_end(const RequestTimes& times, int64_t prompt_tokens, int64_t tokens,
                   int64_t choices, int64_t n, int64_t max_tokens);
  // `num_coming`: requests that the engine does not know yet.
  void set_load(const SchedulerStats& stats, int64_t num_coming);

  void set_times(const GroupTimes& times) { times_ = times; }

  const SchedulerStats& load() const { return stats_; }
  int64_t num_tokens() const { return num_tokens_; }
  int64_t num_ended() const { return num_ended_[0] + num_ended_[1] + num_ended_[2]; }

  // Prometheus' text format.
  std::string text() const;

 private:
  void print_times(std::string& out) const;

  std::string prefix_, labels_;
  SchedulerStats stats_ = {};
  GroupTimes times_;
  int64_t num_tokens_ = 0;
  std::array<int64_t, 3> num_ended_ = {};  // stop, length, abort
  Histogram first_token_, gap_, end_to_end_, queue_time_, inference_, prefill_, decode_, a_token_,
      prompt_tokens_, tokens_, step_tokens_, n_, max_tokens_;
};

}  // namespace ll
