#include "runtime/bench/bench_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/output_file.h"
#include "runtime/version.h"

namespace ll {
namespace {

using Json = nlohmann::ordered_json;

double mean(const std::vector<double>& v) {
  double sum = 0;
  for (double x : v) sum += x;
  return v.empty() ? 0 : sum / static_cast<double>(v.size());
}

double deviation(const std::vector<double>& v) {
  double m = mean(v), sum = 0;
  for (double x : v) sum += (x - m) * (x - m);
  return v.empty() ? 0 : std::sqrt(sum / static_cast<double>(v.size()));
}

// Linear between ranks, as numpy.percentile.
double percentile(std::vector<double> v, double p) {
  if (v.empty()) return 0;
  std::sort(v.begin(), v.end());
  double at = p / 100 * static_cast<double>(v.size() - 1);
  auto low = static_cast<size_t>(at);
  return low + 1 < v.size() ? v[low] + (at - static_cast<double>(low)) * (v[low + 1] - v[low])
                            : v[low];
}

double median(const std::vector<double>& v) { return percentile(v, 50); }

constexpr int kPercentiles[] = {10, 25, 50, 75, 90, 99};

Json percentiles_of(const std::vector<double>& v) {
  Json all = Json::object();
  for (int p : kPercentiles) all[std::to_string(p)] = percentile(v, p);
  return all;
}

// What every line of JSON begins with.
Json head_of(const BenchModel& model) {
  return {{"backend", "litelang"},
          {"version", kVersion},
          {"model_id", model.name},
          {"num_ranks", model.ranks * model.replicas}};
}

double rate(int64_t count, double seconds) {
  return seconds > 0 ? static_cast<double>(count) / seconds : 0;
}

// The idle share of the replica that had least to do.
double idle_share(const ThroughputResult& r) {
  return 1 - *std::min_element(r.replicas_busy.begin(), r.replicas_busy.end());
}

double percent(double floor, double seconds) { return seconds > 0 ? 100 * floor / seconds : 0; }

}  // namespace

BenchReport report(const BenchModel& model, const ThroughputResult& r) {
  int64_t all_tokens = r.prompt_tokens + r.output_tokens;
  double requests_per_s = rate(r.num_requests, r.seconds), in = rate(r.prompt_tokens, r.seconds),
         out = rate(r.output_tokens, r.seconds), all = rate(all_tokens, r.seconds);
  std::string text = fmt::format(
      "Throughput: {:.2f} requests/s, {:.2f} total tokens/s, {:.2f} output tokens/s\n"
      "Total num prompt tokens:  {}\nTotal num output tokens:  {}\n\n",
      requests_per_s, all, out, r.prompt_tokens, r.output_tokens);
  auto line = [&](const char* what, const auto& value) {
    text += fmt::format("{:<40} {:<10}\n", what, value);
  };
  auto number = [&](const char* what, double value) { line(what, fmt::format("{:.2f}", value)); };
  text += fmt::format("{:=^50}\n", " Offline Throughput Benchmark Result ");
  line("Backend:", "litelang");
  line("Successful requests:", r.num_requests);
  number("Benchmark duration (s):", r.seconds);
  line("Total input tokens:", r.prompt_tokens);
  line("Total generated tokens:", r.output_tokens);
  number("Request throughput (req/s):", requests_per_s);
  number("Input token throughput (tok/s):", in);
  number("Output token throughput (tok/s):", out);
  number("Total token throughput (tok/s):", all);
  line("Cached prompt tokens:", r.cached_tokens);
  line("Steps:", r.num_steps);
  line("Floor of these steps (s):",
       fmt::format("{:.2f} ({:.1f}%)", r.floor_seconds, percent(r.floor_seconds, r.seconds)));
  for (size_t i = 0; i < r.replicas_busy.size(); ++i)
    line(fmt::format("Replica {} busy (%):", i).c_str(),
         fmt::format("{:.1f}", 100 * r.replicas_busy[i]));
  if (!r.replicas_busy.empty())
    line("Idlest replica idle (%):", fmt::format("{:.1f}", 100 * idle_share(r)));
  text += fmt::format("{:=^50}\n", "");
  Json json = head_of(model);
  json.update({{"elapsed_time", r.seconds},
               {"num_requests", r.num_requests},
               {"total_num_tokens", all_tokens},
               {"requests_per_second", requests_per_s},
               {"tokens_per_second", all}});
  json.update({{"successful_requests", r.num_requests},
               {"total_latency", r.seconds},
               {"total_input_tokens", r.prompt_tokens},
               {"total_output_tokens", r.output_tokens},
               {"request_throughput", requests_per_s},
               {"input_throughput", in},
               {"output_throughput", out},
               {"total_throughput", all}});
  json.update({{"cached_tokens", r.cached_tokens},
               {"num_steps", r.num_steps},
               {"floor_seconds", r.floor_seconds}});
  if (!r.replicas_busy.empty())
    json.update({{"replicas_busy", r.replicas_busy}, {"idlest_replica_idle", idle_share(r)}});
  return {text, json.dump()};
}

BenchReport report(const BenchModel& model, const LatencyResult& r) {
  std::string text = fmt::format("Avg latency: {:.6f} seconds\nStd latency: {:.6f} seconds\n",
                                 mean(r.seconds), deviation(r.seconds));
  for (int p : kPercentiles)
    text += fmt::format("{}% percentile latency: {:.6f} seconds\n", p, percentile(r.seconds, p));
  double middle = median(r.seconds), out = rate(r.batch_size * r.output_len, middle);
  text += fmt::format("Output token throughput (tok/s): {:.2f}\n", out);
  text += fmt::format("Floor: {:.6f} seconds ({:.1f}% of the median)\n", r.floor_seconds,
                      percent(r.floor_seconds, middle));
  Json json = head_of(model);
  json.update({{"avg_latency", mean(r.seconds)},
               {"std_latency", deviation(r.seconds)},
               {"latencies", r.seconds},
               {"percentiles", percentiles_of(r.seconds)},
               {"batch_size", r.batch_size},
               {"input_len", r.input_len},
               {"output_len", r.output_len},
               {"output_throughput", out},
               {"floor_seconds", r.floor_seconds}});
  return {text, json.dump()};
}

BenchReport report(const BenchModel& model, const OneBatchResult& r) {
  double prefill = median(r.prefill_seconds), step = median(r.step_seconds),
         total = median(r.total_seconds);
  int64_t in = r.batch_size * r.input_len, out = r.batch_size * r.output_len;
  auto of_floor = [](const Floor& floor, double seconds) {
    return fmt::format("({:.1f}% of the {})", percent(floor.seconds(), seconds), floor.limit());
  };
  std::string text = fmt::format("Prefill. latency: {:.5f} s, throughput: {:9.2f} token/s {}\n",
                                 prefill, rate(in, prefill), of_floor(r.prefill_floor, prefill));
  if (!r.step_seconds.empty())
    text +=
        fmt::format("Decode.  median latency: {:.5f} s, median throughput: {:9.2f} token/s {}\n",
                    step, rate(r.batch_size, step), of_floor(r.decode_floor, step));
  text += fmt::format("Total. latency: {:6.3f} s, throughput: {:9.2f} token/s\n", total,
                      rate(in + out, total));
  Json json = head_of(model);
  json.update({{"run_name", model.name},
               {"batch_size", r.batch_size},
               {"input_len", r.input_len},
               {"output_len", r.output_len},
               {"prefill_latency", prefill},
               {"prefill_throughput", rate(in, prefill)}});
  json.update({{"median_decode_latency", step},
               {"median_decode_throughput", rate(r.batch_size, step)},
               {"total_latency", total},
               {"overall_throughput", rate(in + out, total)},
               {"output_throughput", rate(out, total)},
               {"prefill_floor", r.prefill_floor.seconds()},
               {"decode_floor", r.decode_floor.seconds()}});
  return {text, json.dump()};
}

BenchReport report(const BenchModel& model, const StartupResult& r) {
  std::string text = "STARTUP TIME BENCHMARK RESULTS\n";
  auto line = [&](const char* what, double seconds) {
    text += fmt::format("{:<16} {:6.2f} seconds after launch\n", what, seconds);
  };
  line("Weights loaded:", r.weights_loaded);
  line("Engine ready:", r.ready);
  line("First token:", r.first_token);
  std::vector<double> times = {r.ready};
  Json json = head_of(model);
  json.update({{"avg_cold_startup_time", r.ready},
               {"cold_startup_times", times},
               {"cold_startup_percentiles", percentiles_of(times)},
               {"weights_loaded_time", r.weights_loaded},
               {"ready_time", r.ready},
               {"first_token_time", r.first_token}});
  return {text, json.dump()};
}

void print_report(const BenchReport& report, const std::string& json_path) {
  fmt::print("{}", report.text);
  std::fflush(stdout);
  if (json_path.empty()) return;
  OutputFile json(json_path, /*overwrite=*/true);
  json.write_line(report.json);
  json.close();
}

}  // namespace ll
