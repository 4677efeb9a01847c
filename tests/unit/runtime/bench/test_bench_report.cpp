#include "runtime/bench/bench_report.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/support/errors.h"

using namespace ll;
using namespace ll::test;
using Json = nlohmann::ordered_json;

namespace {

const BenchModel kModel{.name = "models/qwen", .ranks = 2};

// The line of JSON, which must have the fields.
Json fields(const BenchReport& report, const std::vector<std::string>& names) {
  Json json = Json::parse(report.json);
  for (const std::string& name : names) {
    CAPTURE(name);
    CHECK(json.contains(name));
  }
  CHECK(json["model_id"] == "models/qwen");
  CHECK(json["num_ranks"] == 2);
  return json;
}

void check_lines(const std::string& text, const std::vector<std::string>& lines) {
  INFO(text);
  for (const std::string& line : lines) {
    CAPTURE(line);
    CHECK(contains("\n" + text, "\n" + line + "\n"));
  }
}

}  // namespace

TEST_CASE("report: throughput, by vLLM's names and SGLang's") {
  BenchReport r = report(kModel, ThroughputResult{.num_requests = 4,
                                                  .prompt_tokens = 300,
                                                  .output_tokens = 100,
                                                  .cached_tokens = 64,
                                                  .num_steps = 30,
                                                  .seconds = 2,
                                                  .floor_seconds = 1});
  check_lines(r.text, {"Throughput: 2.00 requests/s, 200.00 total tokens/s, 50.00 output tokens/s",
                       "Total num prompt tokens:  300", "Total num output tokens:  100",
                       "====== Offline Throughput Benchmark Result =======",
                       "Successful requests:                     4         ",
                       "Benchmark duration (s):                  2.00      ",
                       "Total input tokens:                      300       ",
                       "Total generated tokens:                  100       ",
                       "Request throughput (req/s):              2.00      ",
                       "Input token throughput (tok/s):          150.00    ",
                       "Output token throughput (tok/s):         50.00     ",
                       "Total token throughput (tok/s):          200.00    ",
                       "Floor of these steps (s):                1.00 (50.0%)"});
  Json json = fields(
      r, {"elapsed_time", "num_requests", "total_num_tokens", "requests_per_second",
          "tokens_per_second", "backend", "successful_requests", "total_latency",
          "total_input_tokens", "total_output_tokens", "request_throughput", "input_throughput",
          "output_throughput", "total_throughput", "cached_tokens", "floor_seconds"});
  CHECK(json["total_num_tokens"] == 400);
  CHECK(json["output_throughput"] == 50);
  CHECK(json["tokens_per_second"] == json["total_throughput"]);
}

TEST_CASE("report: latency, by vLLM's names") {
  BenchReport r = report(kModel, LatencyResult{.batch_size = 8,
                                               .input_len = 32,
                                               .output_len = 10,
                                               .seconds = {4, 1, 2, 3},
                                               .floor_seconds = 1});
  check_lines(
      r.text,
      {"Avg latency: 2.500000 seconds", "Std latency: 1.118034 seconds",
       "10% percentile latency: 1.300000 seconds", "50% percentile latency: 2.500000 seconds",
       "99% percentile latency: 3.970000 seconds", "Output token throughput (tok/s): 32.00",
       "Floor: 1.000000 seconds (40.0% of the median)"});
  Json json = fields(r, {"avg_latency", "std_latency", "latencies", "percentiles"});
  CHECK(json["latencies"] == Json({4, 1, 2, 3}));
  for (const char* p : {"10", "25", "50", "75", "90", "99"}) CHECK(json["percentiles"].contains(p));
  CHECK(json["percentiles"]["75"] == 3.25);
}

TEST_CASE("report: one batch, by SGLang's names") {
  OneBatchResult result{.batch_size = 8,
                        .input_len = 100,
                        .output_len = 3,
                        .prefill_seconds = {0.5},
                        .total_seconds = {0.7},
                        .step_seconds = {0.1, 0.1},
                        .prefill_floor = {.read_seconds = 0.01, .matrix_seconds = 0.4},
                        .decode_floor = {.read_seconds = 0.09, .matrix_seconds = 0.01}};
  BenchReport r = report(kModel, result);
  check_lines(
      r.text,
      {"Prefill. latency: 0.50000 s, throughput:   1600.00 token/s (80.0% of the matrix rate)",
       "Decode.  median latency: 0.10000 s, median throughput:     80.00 token/s (90.0% of the "
       "bandwidth)",
       "Total. latency:  0.700 s, throughput:   1177.14 token/s"});
  Json json = fields(r, {"run_name", "batch_size", "input_len", "output_len", "prefill_latency",
                         "prefill_throughput", "median_decode_latency", "median_decode_throughput",
                         "total_latency", "overall_throughput", "prefill_floor", "decode_floor"});
  CHECK(json["decode_floor"] == 0.09);
  result.step_seconds.clear();  // one token
  r = report(kModel, result);
  CHECK(!contains(r.text, "Decode."));
  CHECK(Json::parse(r.json)["median_decode_throughput"] == 0);
}

TEST_CASE("report: startup") {
  BenchReport r =
      report(kModel, StartupResult{.weights_loaded = 3, .ready = 3.5, .first_token = 3.75});
  check_lines(r.text,
              {"STARTUP TIME BENCHMARK RESULTS", "Weights loaded:    3.00 seconds after launch",
               "Engine ready:      3.50 seconds after launch",
               "First token:       3.75 seconds after launch"});
  Json json = fields(r, {"avg_cold_startup_time", "cold_startup_times", "cold_startup_percentiles",
                         "weights_loaded_time", "ready_time", "first_token_time"});
  CHECK(json["cold_startup_times"] == Json({3.5}));
}
