#include "perf/serve_load/load_report.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace ll {
namespace {

constexpr double kMilli = 1e3;

// Takes sorted values, at least one.
double percentile(const std::vector<double>& sorted, double share) {
  double at = share * static_cast<double>(sorted.size() - 1);
  auto below = static_cast<size_t>(at);
  size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

std::string lines_of(const char* title, const char* name, const TimeSummary& t) {
  std::string out = fmt::format("{:-^50}\n", title);
  for (auto [what, value] : {std::pair("Mean", t.mean), {"Median", t.median}, {"P99", t.p99}})
    out += fmt::format("{:<40} {:<9.2f}\n", fmt::format("{} {} (ms):", what, name), value);
  return out;
}

}  // namespace

TimeSummary summarize_seconds(std::vector<double> seconds) {
  if (seconds.empty()) return {};
  std::sort(seconds.begin(), seconds.end());
  double sum = 0, squares = 0;
  for (double s : seconds) sum += s;
  double mean = sum / static_cast<double>(seconds.size());
  for (double s : seconds) squares += (s - mean) * (s - mean);
  return {.mean = kMilli * mean,
          .median = kMilli * percentile(seconds, 0.5),
          .stddev = kMilli * std::sqrt(squares / static_cast<double>(seconds.size())),
          .p99 = kMilli * percentile(seconds, 0.99)};
}

LoadReport report_load(const std::vector<LoadAnswer>& answers) {
  LoadReport r;
  std::vector<double> ttft, tpot, itl, e2el;
  double start = std::numeric_limits<double>::infinity(), end = 0;
  for (const LoadAnswer& a : answers) {
    if (!a.was_sent) continue;
    start = std::min(start, a.start), end = std::max(end, a.end);
    if (a.has_left) ++r.left;
    if (!a.error.empty() && r.failed++ == 0) r.first_error = a.error;
    if (!a.is_whole()) continue;
    ++r.completed;
    r.input_tokens += a.prompt_tokens;
    r.output_tokens += a.tokens;
    e2el.push_back(a.end - a.start);
    if (a.tokens == 0) continue;
    ttft.push_back(a.first_token - a.start);
    if (a.tokens > 1) tpot.push_back((a.end - a.first_token) / static_cast<double>(a.tokens - 1));
    itl.insert(itl.end(), a.gaps.begin(), a.gaps.end());
  }
  r.seconds = std::max(0.0, end - start);
  r.ttft = summarize_seconds(std::move(ttft));
  r.tpot = summarize_seconds(std::move(tpot));
  r.itl = summarize_seconds(std::move(itl));
  r.e2el = summarize_seconds(std::move(e2el));
  return r;
}

std::string LoadReport::text() const {
  std::string out = fmt::format("{:=^50}\n", " Serving Benchmark Result ");
  auto count = [&](const char* name, int64_t n) { out += fmt::format("{:<40} {:<9}\n", name, n); };
  auto rate = [&](const char* name, double sum) {
    out += fmt::format("{:<40} {:<9.2f}\n", name, seconds > 0 ? sum / seconds : 0);
  };
  count("Successful requests:", completed);
  count("Failed requests:", failed);
  if (left > 0) count("Clients that left:", left);
  out += fmt::format("{:<40} {:<9.2f}\n", "Benchmark duration (s):", seconds);
  count("Total input tokens:", input_tokens);
  count("Total generated tokens:", output_tokens);
  rate("Request throughput (req/s):", static_cast<double>(completed));
  rate("Output token throughput (tok/s):", static_cast<double>(output_tokens));
  rate("Total Token throughput (tok/s):", static_cast<double>(input_tokens + output_tokens));
  out += lines_of("Time to First Token", "TTFT", ttft);
  out += lines_of("Time per Output Token (excl. 1st token)", "TPOT", tpot);
  out += lines_of("Inter-token Latency", "ITL", itl);
  out += lines_of("End-to-end Latency", "E2EL", e2el);
  out += std::string(50, '=') + "\n";
  if (failed > 0) out += fmt::format("first error: {}\n", first_error);
  return out;
}

nlohmann::ordered_json LoadReport::json() const {
  auto rate = [&](int64_t sum) { return seconds > 0 ? static_cast<double>(sum) / seconds : 0.0; };
  nlohmann::ordered_json out = {{"duration", seconds},
                                {"completed", completed},
                                {"failed", failed},
                                {"total_input_tokens", input_tokens},
                                {"total_output_tokens", output_tokens},
                                {"request_throughput", rate(completed)},
                                {"output_throughput", rate(output_tokens)},
                                {"total_token_throughput", rate(input_tokens + output_tokens)}};
  for (auto [name, t] : {std::pair("ttft", &ttft), {"tpot", &tpot}, {"itl", &itl}, {"e2el", &e2el}})
    for (auto [what, value] :
         {std::pair("mean", t->mean), {"median", t->median}, {"std", t->stddev}, {"p99", t->p99}})
      out[fmt::format("{}_{}_ms", what, name)] = value;
  return out;
}

}  // namespace ll
