#include "runtime/bench_job.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "runtime/output_file.h"

namespace ll {
namespace {

using Json = nlohmann::ordered_json;

double seconds_between(auto a, auto b) { return std::chrono::duration<double>(b - a).count(); }

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

}  // namespace

double process_age() {
  std::ifstream stat("/proc/self/stat"), uptime("/proc/uptime");
  std::string text, field;
  std::getline(stat, text);
  std::istringstream fields(text.substr(text.rfind(')') + 2));  // after the name
  for (int i = 3; i <= 22; ++i) fields >> field;                // field 22: start time in ticks
  double now = 0;
  uptime >> now;
  return now - std::stod(field) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

BenchModel bench_model(const ModelConfig& c, const std::string& name, DType dtype, int ranks) {
  auto head = static_cast<double>(c.vocab_size * c.hidden_size),
       all = static_cast<double>(c.num_parameters());
  double body = all - head * (c.tie_word_embeddings ? 1 : 2),
         bytes = static_cast<double>(size_of(dtype));
  return {.name = name,
          .flops_per_token = 2 * body,
          .weight_bytes = (body + head) * bytes,
          .kv_bytes = static_cast<double>(2 * c.num_layers * c.kv_size()) * bytes,
          .ranks = ranks,
          .vocab_size = static_cast<int32_t>(c.vocab_size)};
}

BenchJob::BenchJob(const EngineConfig& config, const BenchModel& model, const DeviceRates& rates)
    : config_(config), model_(model), rates_(rates) {}

EngineEvents BenchJob::events() {
  return {.on_token =
              [this](Sequence&, const TokenLogprob*) {
                token_times_.push_back(Clock::now());
                return false;
              },
          .on_prompt_logprobs = [](Sequence&, int32_t, const std::vector<TokenLogprob>&) {},
          .on_finish =
              [this](const std::shared_ptr<Sequence>& s) {
                totals_.prompt_tokens += s->num_prompt;
                totals_.output_tokens += s->num_output();
              }};
}

void BenchJob::run(Engine& engine, const std::function<void()>& on_warm) {
  using Kind = EngineConfig::Bench::Kind;
  switch (config_.bench.kind) {
    case Kind::kThroughput:
      return throughput(engine, on_warm);
    case Kind::kLatency:
      return latency(engine, on_warm);
    case Kind::kOneBatch:
      return one_batch(engine, on_warm);
    case Kind::kStartup:
      return startup(engine);
  }
}

double BenchJob::run_all(Engine& engine, const std::vector<BenchRequest>& requests) {
  totals_ = {};
  token_times_.clear();
  auto start = Clock::now();
  for (const BenchRequest& r : requests) {
    auto request = std::make_shared<Request>();
    request->id = next_id_++;
    request->prompt = r.prompt;
    request->params.max_tokens = r.output_len;
    request->params.temperature = static_cast<float>(config_.bench.temperature);
    request->params.ignore_eos = true;
    request->params.seed = static_cast<uint64_t>(request->id);
    engine.add(request);
  }
  while (engine.has_work()) engine.step();
  return seconds_between(start, Clock::now());
}

std::vector<BenchRequest> BenchJob::batch() const {
  const auto& b = config_.bench;
  return make_dataset({.num_prompts = b.batch_size,
                       .input_len = b.data.input_len,
                       .output_len = b.data.output_len,
                       .seed = b.data.seed},
                      model_.vocab_size);
}

// Every bucket of decode rows twice, so that its graph is captured; sequences end one by one.
void BenchJob::warm_up(Engine& engine) {
  std::vector<BenchRequest> requests;
  int32_t rows = std::min(config_.scheduler.max_num_seqs,
                          config_.bench.kind == EngineConfig::Bench::Kind::kThroughput
                              ? config_.scheduler.max_num_seqs
                              : config_.bench.batch_size);
  for (int32_t i = 0; i < rows; ++i) requests.push_back({{i % model_.vocab_size, 1}, 4 + 2 * i});
  run_all(engine, requests);
}

double BenchJob::floor_seconds(const EngineTotals& t) const {
  double bytes = static_cast<double>(t.steps) * model_.weight_bytes +
                 static_cast<double>(t.kv_positions) * model_.kv_bytes;
  double flops = static_cast<double>(t.prefill_tokens) * model_.flops_per_token;
  return (bytes / rates_.bytes_per_s + flops / rates_.flops_per_s) / model_.ranks;
}

void BenchJob::throughput(Engine& engine, const std::function<void()>& on_warm) {
  auto requests = make_dataset(config_.bench.data, model_.vocab_size);
  if (config_.bench.num_iters_warmup > 0) warm_up(engine);
  on_warm();
  SchedulerStats stats_before = engine.stats();
  EngineTotals before = engine.totals();
  double seconds = run_all(engine, requests);
  EngineTotals during = engine.totals() - before;
  SchedulerStats stats = engine.stats();
  auto n = static_cast<double>(requests.size()), in = static_cast<double>(totals_.prompt_tokens),
       out = static_cast<double>(totals_.output_tokens);
  double floor = floor_seconds(during);
  int64_t cached = stats.cached_tokens - stats_before.cached_tokens;
  fmt::print("Throughput: {:.2f} requests/s, {:.2f} total tokens/s, {:.2f} output tokens/s\n",
             n / seconds, (in + out) / seconds, out / seconds);
  fmt::print("Total num prompt tokens:  {}\nTotal num output tokens:  {}\n", totals_.prompt_tokens,
             totals_.output_tokens);
  auto line = [](const char* what, auto value) { fmt::print("{:<40}{:<10}\n", what, value); };
  fmt::print("\n{:=^50}\n", " Offline Throughput Benchmark Result ");
  line("Backend:", "litelang");
  line("Successful requests:", requests.size());
  line("Benchmark duration (s):", fmt::format("{:.2f}", seconds));
  line("Total input tokens:", totals_.prompt_tokens);
  line("Total generated tokens:", totals_.output_tokens);
  line("Request throughput (req/s):", fmt::format("{:.2f}", n / seconds));
  line("Input token throughput (tok/s):", fmt::format("{:.2f}", in / seconds));
  line("Output token throughput (tok/s):", fmt::format("{:.2f}", out / seconds));
  line("Total token throughput (tok/s):", fmt::format("{:.2f}", (in + out) / seconds));
  line("Cached prompt tokens:", cached);
  line("Steps:", during.steps);
  line("Floor of these steps (s):", fmt::format("{:.2f} ({:.1f}%)", floor, 100 * floor / seconds));
  fmt::print("{:=^50}\n", "");
  write_json(Json{
      {"backend", "litelang"},
      {"model_id", model_.name},
      {"elapsed_time", seconds},
      {"num_requests", requests.size()},
      {"successful_requests", requests.size()},
      {"total_num_tokens", in + out},
      {"requests_per_second", n / seconds},
      {"tokens_per_second", (in + out) / seconds},
      {"total_latency", seconds},
      {"total_input_tokens", in},
      {"total_output_tokens", out},
      {"request_throughput", n / seconds},
      {"input_throughput", in / seconds},
      {"output_throughput", out / seconds},
      {"total_throughput", (in + out) / seconds},
      {"cached_tokens", cached},
      {"floor_seconds",
       floor}}.dump());
}

void BenchJob::latency(Engine& engine, const std::function<void()>& on_warm) {
  std::vector<double> times;
  for (int i = 0; i < config_.bench.num_iters_warmup; ++i) run_all(engine, batch());
  on_warm();
  EngineTotals before = engine.totals();
  for (int i = 0; i < config_.bench.num_iters; ++i) times.push_back(run_all(engine, batch()));
  double floor = floor_seconds(engine.totals() - before) / std::max(1, config_.bench.num_iters);
  fmt::print("Avg latency: {:.6f} seconds\nStd latency: {:.6f} seconds\n", mean(times),
             deviation(times));
  Json percentiles = Json::object();
  for (int p : {10, 25, 50, 75, 90, 99}) {
    fmt::print("{}% percentile latency: {:.6f} seconds\n", p, percentile(times, p));
    percentiles[std::to_string(p)] = percentile(times, p);
  }
  fmt::print("Floor: {:.6f} seconds ({:.1f}%)\n", floor, 100 * floor / percentile(times, 50));
  write_json(Json{
      {"avg_latency", mean(times)},
      {"std_latency", deviation(times)},
      {"latencies", times},
      {"percentiles", percentiles},
      {"floor_latency",
       floor}}.dump());
}

// One batch through prefill and decode; the median decode step is between two tokens' arrivals.
void BenchJob::one_batch(Engine& engine, const std::function<void()>& on_warm) {
  const auto& b = config_.bench;
  auto count = static_cast<size_t>(b.batch_size);
  for (int i = 0; i < b.num_iters_warmup; ++i) run_all(engine, batch());
  on_warm();
  auto start = Clock::now();
  double total = run_all(engine, batch());
  double prefill = seconds_between(start, token_times_[count - 1]);
  std::vector<double> steps;
  for (size_t i = 2 * count - 1; i < token_times_.size(); i += count)
    steps.push_back(seconds_between(token_times_[i - count], token_times_[i]));
  double decode = percentile(steps, 50), batch_size = static_cast<double>(count);
  double in = batch_size * static_cast<double>(b.data.input_len),
         out = batch_size * static_cast<double>(b.data.output_len);
  double prefill_floor = in * model_.flops_per_token / rates_.flops_per_s / model_.ranks;
  double context =
      static_cast<double>(b.data.input_len) + static_cast<double>(b.data.output_len) / 2;
  double decode_floor = (model_.weight_bytes + batch_size * context * model_.kv_bytes) /
                        rates_.bytes_per_s / model_.ranks;
  fmt::print(
      "Prefill. latency: {:.5f} s, throughput: {:9.2f} token/s ({:.1f}% of the matrix rate)\n",
      prefill, in / prefill, 100 * prefill_floor / prefill);
  if (!steps.empty())
    fmt::print(
        "Decode.  median latency: {:.5f} s, median throughput: {:9.2f} token/s ({:.1f}% of the "
        "bandwidth)\n",
        decode, batch_size / decode, 100 * decode_floor / decode);
  fmt::print("Total. latency: {:6.3f} s, throughput: {:9.2f} token/s\n", total, (in + out) / total);
  write_json(Json{{"run_name", model_.name},
                  {"batch_size", count},
                  {"input_len", b.data.input_len},
                  {"output_len", b.data.output_len},
                  {"prefill_latency", prefill},
                  {"prefill_throughput", in / prefill},
                  {"median_decode_latency", decode},
                  {"median_decode_throughput", decode > 0 ? batch_size / decode : 0},
                  {"total_latency", total},
                  {"overall_throughput", (in + out) / total},
                  {"prefill_floor", prefill_floor},
                  {"decode_floor", decode_floor}}
                 .dump());
}

// From the start of this process to its first token.
void BenchJob::startup(Engine& engine) {
  double ready = process_age();
  run_all(engine, {{{1, 2, 3, 4, 5, 6, 7, 8}, 1}});
  double first = process_age();
  fmt::print(
      "STARTUP TIME BENCHMARK RESULTS\nReady to serve: {:.2f} seconds after launch\nFirst token:   "
      " {:.2f} seconds after launch\n",
      ready, first);
  write_json(Json{{"ready_seconds", ready}, {"first_token_seconds", first}}.dump());
}

void BenchJob::write_json(const std::string& json) const {
  if (config_.bench.output_json.empty()) return;
  OutputFile out(config_.bench.output_json, /*overwrite=*/true);
  out.write_line(json);
  out.close();
}

}  // namespace ll
