#pragma once
// The section `bench` of the configuration: what a benchmark measures, on which requests.
#include <cstdint>
#include <string>
#include <vector>

#include "parallel/grid_shape.h"

namespace ll {

constexpr int64_t kNanoPrompts = 256;  // of nano, unless told otherwise

struct DatasetOptions {
  enum class Kind { kRandom, kNano, kSharedPrefix, kFile };
  Kind kind = Kind::kRandom;
  std::string path;  // of kFile
  int64_t num_prompts = 1000;
  int64_t input_len = 1024, output_len = 128;
  double range_ratio = 0;     // lengths vary by this share in both directions
  int64_t prefix_len = 4096;  // of kSharedPrefix: what comes before a request's own input_len
  int64_t num_prefixes = 1;   // of kSharedPrefix: requests take them in turn
  int32_t n = 1;              // answers of a request
  uint64_t seed = 0;

  bool operator==(const DatasetOptions&) const = default;
};

// How the requests draw their tokens; as requests themselves say it (runtime/schedule/request.h).
struct BenchSampling {
  double temperature = 0, top_p = 1, min_p = 0;
  int32_t top_k = 0;
  double repetition_penalty = 1, presence_penalty = 0, frequency_penalty = 0;
  int32_t logprobs = -1;

  bool operator==(const BenchSampling&) const = default;
};

struct BenchOptions {
  enum class Kind { kThroughput, kLatency, kOneBatch, kStartup, kGrids };
  Kind kind = Kind::kThroughput;
  DatasetOptions data;
  int32_t batch_size = 8;  // of latency, one-batch and grids
  int32_t num_iters = 0;   // 0: 30 of latency, 1 of one-batch, 5 of grids
  int32_t num_iters_warmup = 1;
  BenchSampling sampling;
  std::string output_json;
  std::string trace;  // file for a Chrome trace of trace_steps steps; empty: none
  int32_t trace_steps = 50;
  std::vector<GridShape> grids;  // of grids; none: all that fit

  bool operator==(const BenchOptions&) const = default;
};

}  // namespace ll
