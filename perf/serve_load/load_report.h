#pragma once
// What streams of a server came to, in the words of `vllm bench serve`.
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "perf/serve_load/load.h"

namespace ll {

// Milliseconds; percentiles as numpy has them, between the two nearest.
struct TimeSummary {
  double mean = 0, median = 0, stddev = 0, p99 = 0;
};
TimeSummary summarize_seconds(std::vector<double> seconds);

struct LoadReport {
  int64_t completed = 0, failed = 0, left = 0;
  int64_t input_tokens = 0, output_tokens = 0;  // of those that completed
  double seconds = 0;                           // from the first to the end of the last
  // To the first token; for each token after it; between two events; to the end.
  TimeSummary ttft, tpot, itl, e2el;
  std::string first_error = {};

  std::string text() const;
  nlohmann::ordered_json json() const;
};

LoadReport report_load(const std::vector<LoadAnswer>& answers);

}  // namespace ll
