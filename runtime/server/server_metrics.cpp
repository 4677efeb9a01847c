#include "runtime/server/server_metrics.h"

#include <fmt/core.h>

#include <algorithm>

namespace ll {
namespace {

const std::vector<double> kShortTimes = {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5,
                                         0.75,  1,     2.5,  5,    7.5,  10,   20,   40,  80};
const std::vector<double> kGaps = {0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1,
                                   0.15,  0.2,   0.3,   0.4,  0.5,   0.75, 1,     2.5};
const std::vector<double> kLongTimes = {0.01, 0.05, 0.1, 0.3, 0.5, 0.8, 1,  1.5, 2,   2.5, 5,
                                        10,   15,   20,  30,  40,  50,  60, 120, 240, 480, 960};
const std::vector<double> kCounts = {1,   2,    5,    10,   20,    50,    100,   200,
                                     500, 1000, 2000, 5000, 10000, 20000, 50000, 100000};
const std::vector<double> kFew = {1, 2, 5, 10, 20, 50, 100, 1000};

std::string escaped(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

}  // namespace

ServerMetrics::ServerMetrics(std::string_view prefix, std::string_view model_name)
    : prefix_(prefix),
      labels_(fmt::format("engine=\"0\",model_name=\"{}\"", escaped(model_name))),
      first_token_(kShortTimes),
      gap_(kGaps),
      end_to_end_(kLongTimes),
      queue_time_(kLongTimes),
      inference_(kLongTimes),
      prefill_(kLongTimes),
      decode_(kLongTimes),
      a_token_(kGaps),
      prompt_tokens_(kCounts),
      tokens_(kCounts),
      step_tokens_(kCounts),
      n_(kFew),
      max_tokens_(kCounts) {}

void ServerMetrics::count_end(FinishReason reason) {
  ++num_ended_[reason == FinishReason::kStop ? 0 : reason == FinishReason::kLength ? 1 : 2];
}

void ServerMetrics::observe_end(const RequestTimes& t, int64_t prompt_tokens, int64_t tokens,
                                int64_t choices, int64_t n, int64_t max_tokens) {
  end_to_end_.observe(t.end);
  prompt_tokens_.observe(static_cast<double>(prompt_tokens));
  tokens_.observe(static_cast<double>(tokens));
  n_.observe(static_cast<double>(n));
  max_tokens_.observe(static_cast<double>(max_tokens));
  if (t.started < 0 || t.first_token < 0) return;
  inference_.observe(t.end - t.started);
  prefill_.observe(t.first_token - t.started);
  decode_.observe(t.end - t.first_token);
  if (tokens > choices)
    a_token_.observe((t.end - t.first_token) / (static_cast<double>(tokens) / choices - 1));
}

void ServerMetrics::set_load(const SchedulerStats& stats, int64_t num_coming) {
  stats_ = stats;
  stats_.num_waiting += num_coming;
}

std::string ServerMetrics::text() const {
  std::string out;
  auto head = [&](const char* name, const char* type, const char* help) {
    std::string full = prefix_ + ":" + name;
    out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", full, help, full, type);
    return full;
  };
  auto value = [&](const char* type, const char* name, const char* help, double number) {
    std::string full = head(name, type, help);
    out += fmt::format("{}{{{}}} {}\n", full, labels_, number);
  };
  auto histogram = [&](const char* name, const char* help, const Histogram& h) {
    h.print(out, head(name, "histogram", help), labels_);
  };
  auto gauge = [&](auto... all) { value("gauge", all...); };
  auto counter = [&](const char* name, const char* help, int64_t count) {
    value("counter", name, help, static_cast<double>(count));
  };
  gauge("num_requests_running", "Answers being made.", static_cast<double>(stats_.num_running));
  gauge("num_requests_waiting", "Requests that wait for room.",
        static_cast<double>(stats_.num_waiting));
  gauge("kv_cache_usage_perc", "Share of the KV pages that running answers use.", stats_.kv_usage);
  counter("prompt_tokens_total", "Prompt tokens of requests that began.", stats_.prompt_tokens);
  counter("generation_tokens_total", "Tokens of answers.", num_tokens_);
  counter("prefix_cache_queries_total", "Prompt tokens looked up in the radix cache.",
          stats_.prompt_tokens);
  counter("prefix_cache_hits_total", "Those found there.", stats_.cached_tokens);
  counter("spec_decode_num_draft_tokens_total", "Drafts of tokens that steps ran.",
          stats_.draft_tokens);
  counter("spec_decode_num_accepted_tokens_total", "Those that were drawn, too.",
          stats_.accepted_tokens);
  counter("num_preemptions_total", "Answers that made room for others and began anew.",
          stats_.num_preemptions);
  std::string ends = head("request_success_total", "counter", "Answers that ended.");
  const char* reasons[] = {"stop", "length", "abort"};
  for (size_t i = 0; i < num_ended_.size(); ++i)
    out += fmt::format("{}{{{},finished_reason=\"{}\"}} {}\n", ends, labels_, reasons[i],
                       num_ended_[i]);
  histogram("time_to_first_token_seconds", "From a request to its first token.", first_token_);
  histogram("inter_token_latency_seconds", "Between two tokens of an answer.", gap_);
  histogram("e2e_request_latency_seconds", "From a request to its end.", end_to_end_);
  histogram("request_queue_time_seconds", "From a request to the start of its prompt.",
            queue_time_);
  histogram("request_inference_time_seconds", "From that start to the end.", inference_);
  histogram("request_prefill_time_seconds", "From that start to the first token.", prefill_);
  histogram("request_decode_time_seconds", "From the first token to the end.", decode_);
  histogram("request_time_per_output_token_seconds", "The same for each token but the first.",
            a_token_);
  histogram("request_prompt_tokens", "Prompt tokens of a request.", prompt_tokens_);
  histogram("request_generation_tokens", "Tokens of all answers of a request.", tokens_);
  histogram("iteration_tokens_total", "Tokens of a step.", step_tokens_);
  histogram("request_params_n", "Answers a request asks for.", n_);
  histogram("request_params_max_tokens", "Longest answer a request allows.", max_tokens_);
  print_times(out);
  return out;
}

// No names of vLLM's, whatever the prefix of others.
void ServerMetrics::print_times(std::string& out) const {
  auto head = [&](const char* name, const char* help) {
    out += fmt::format("# HELP litelang:{0} {1}\n# TYPE litelang:{0} summary\n", name, help);
  };
  auto sums = [&](const char* name, const std::string& labels, double sum, int64_t count) {
    out += fmt::format("litelang:{0}_sum{{{1}}} {2}\nlitelang:{0}_count{{{1}}} {3}\n", name, labels,
                       sum, count);
  };
  auto of_ranks = [&](const char* name, const char* help, double RankTimes::*sum) {
    head(name, help);
    for (size_t r = 0; r < times_.ranks.size(); ++r)
      sums(name, fmt::format("{},rank=\"{}\"", labels_, r), times_.ranks[r].*sum,
           times_.ranks[r].steps);
  };
  of_ranks("rank_step_seconds", "A step on a rank's device.", &RankTimes::seconds);
  bool knows_collectives = std::any_of(times_.ranks.begin(), times_.ranks.end(),
                                       [](const RankTimes& r) { return r.collective_seconds > 0; });
  if (knows_collectives)
    of_ranks("rank_collective_seconds", "Of a step in collectives, waiting or moving data.",
             &RankTimes::collective_seconds);
  of_ranks("rank_wait_seconds", "From a rank's begin of a step to that of the last rank.",
           &RankTimes::wait_seconds);
  head("step_skew_seconds", "How long the first rank of a step waits for the last to begin.");
  sums("step_skew_seconds", labels_, times_.skew_seconds, times_.steps);
}

}  // namespace ll
