#pragma once
// Results of benchmarks in the words that users of vLLM's and SGLang's benchmarks know: the lines
// to print and one line of JSON.
#include <cstdint>
#include <string>
#include <vector>

#include "runtime/bench/bench_floor.h"

namespace ll {

struct ThroughputResult {
  int64_t num_requests = 0, prompt_tokens = 0, output_tokens = 0;
  int64_t cached_tokens = 0, num_steps = 0;
  double seconds = 0;
  double floor_seconds = 0;
  std::vector<double> replicas_busy;  // share of the time of each; of one replica: empty
};

struct LatencyResult {
  int64_t batch_size = 0, input_len = 0, output_len = 0;
  std::vector<double> seconds;  // of each run
  double floor_seconds = 0;     // of one run
};

struct OneBatchResult {
  int64_t batch_size = 0, input_len = 0, output_len = 0;
  // What each run took until every sequence had its first token, and until all had ended.
  std::vector<double> prefill_seconds, total_seconds;
  std::vector<double> step_seconds;  // of the decode steps of all runs
  Floor prefill_floor, decode_floor;
};

// Seconds since the launch.
struct StartupResult {
  double weights_loaded = 0, ready = 0, first_token = 0;
};

struct BenchReport {
  std::string text;
  std::string json;
};
BenchReport report(const BenchModel& model, const ThroughputResult& result);
BenchReport report(const BenchModel& model, const LatencyResult& result);
BenchReport report(const BenchModel& model, const OneBatchResult& result);
BenchReport report(const BenchModel& model, const StartupResult& result);

// Text to standard output, the JSON to a file if one is named.
void print_report(const BenchReport& report, const std::string& json_path);

}  // namespace ll
