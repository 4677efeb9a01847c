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

struct BenchOptions {
  enum class Kind { kThroughput, kLatency, kOneBatch, kStartup, kGrids };
  Kind kind = Kind::kThroughput;
  DatasetOptions data;
  int32_t batch_size = 8;  // of latency, one-batch and grids
  int32_t num_iters = 0;   // 0: 30 of latency, 1 of one-batch, 5 of grids
  int32_t num_iters_warmup = 1;
  double temperature = 0;
  std::string output_json;
  std::string trace;  // file for a Chrome trace of trace_steps steps; empty: none
  int32_t trace_steps = 50;
  std::vector<GridShape> grids;  // of grids; none: all that fit

  bool operator==(const BenchOptions&) const = default;
};

}  // namespace ll
