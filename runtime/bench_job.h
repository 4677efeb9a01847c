#pragma once
// Benchmarks in the program, each result beside the floor the device sets.
#include <chrono>
#include <functional>

#include "runtime/bench_dataset.h"
#include "runtime/bench_report.h"
#include "runtime/engine.h"
#include "runtime/engine_config.h"

namespace ll {

struct BenchSetup {
  BenchModel model;
  DeviceRates rates;
  int64_t num_kv_positions = 0;
  int64_t max_length = 0;     // positions of a sequence
  double weights_loaded = 0;  // seconds since the launch
};

class BenchJob {
 public:
  BenchJob(const EngineConfig& config, BenchSetup setup);

  EngineEvents events();
  // Runs the benchmark of config.bench.kind. `on_warm` is called when the warm-up is over.
  BenchReport run(Engine& engine, const std::function<void()>& on_warm);

 private:
  using Clock = std::chrono::steady_clock;
  struct Run {
    Clock::time_point start;
    double seconds = 0, floor_seconds = 0;
    int64_t prompt_tokens = 0, output_tokens = 0;
    std::vector<Clock::time_point> arrivals;  // [i]: when the last sequence had its token i
  };

  // Submits the requests together and runs them to their end.
  const Run& run_all(Engine& engine, const std::vector<BenchRequest>& requests);
  void warm_up(Engine& engine);
  std::vector<BenchRequest> next_batch();

  BenchReport throughput(Engine& engine, const std::function<void()>& on_warm);
  BenchReport latency(Engine& engine, const std::function<void()>& on_warm);
  BenchReport one_batch(Engine& engine, const std::function<void()>& on_warm);
  BenchReport startup(Engine& engine);

  const EngineConfig& config_;
  BenchSetup setup_;
  int64_t next_id_ = 1;
  uint64_t next_seed_;
  Run run_;  // the current one
};

}  // namespace ll
