#pragma once
// Requests of a benchmark on their way through engines, and when their tokens came.
#include <chrono>
#include <functional>
#include <vector>

#include "runtime/answers/desk.h"
#include "runtime/bench/bench_dataset.h"
#include "runtime/bench/bench_floor.h"
#include "runtime/config/bench_options.h"
#include "runtime/replicas/replica_pool.h"

namespace ll {

using BenchClock = std::chrono::steady_clock;

struct BenchSetup {
  BenchModel model;
  DeviceTimes rates;
  int64_t num_kv_positions = 0;
  int64_t max_length = 0;     // positions of a sequence
  double weights_loaded = 0;  // seconds since the launch
  std::function<BenchClock::time_point()> now = BenchClock::now;
};

// What every request asks for, but for its seed and length.
SamplingParams params_of(const BenchSampling& sampling);

class BenchRun {
 public:
  // `setup` outlives the run.
  BenchRun(const BenchSetup& setup, const BenchSampling& sampling);

  // What was seen of the requests of the last run_all().
  struct Seen {
    BenchClock::time_point start;
    double seconds = 0, floor_seconds = 0;
    int64_t num_steps = 0;
    int64_t prompt_tokens = 0, output_tokens = 0;
    int64_t cached_tokens = 0;                     // of the prompts', what the radix cache gave
    std::vector<BenchClock::time_point> arrivals;  // [i]: when the last sequence had its token i
  };
  // Submits the requests together, for `n` answers each, and runs them to their end.
  const Seen& run_all(ReplicaPool& pool, const std::vector<BenchRequest>& requests,
                      const SharedStart& shared = {}, int32_t n = 1);

 private:
  void begin(const SharedStart& shared, int32_t n);
  void submit(ReplicaPool& pool, const BenchRequest& request);
  void take(StepEvents events);

  const BenchSetup& setup_;
  SamplingParams params_;
  Desk desk_{nullptr, {}};  // answers without text
  int32_t n_ = 1;           // answers of a request
  SharedStart shared_;
  int64_t num_submitted_ = 0;
  std::vector<size_t> num_tokens_;  // by key * n + choice: keys are from 0 in each run
  Seen seen_;
};

}  // namespace ll
