#pragma once
// Benchmarks in the program: the flags, blocks and JSON fields that users of vLLM's and SGLang's
// benchmarks know, each result beside the floor the device sets.
#include <chrono>
#include <functional>
#include <unordered_map>

#include "model/model_config.h"
#include "runtime/bench_dataset.h"
#include "runtime/device_rates.h"
#include "runtime/engine.h"
#include "runtime/engine_config.h"

namespace ll {

// What a floor is computed from.
struct BenchModel {
  std::string name;
  double flops_per_token = 0;  // of the prompt: two per parameter that works on it
  double weight_bytes = 0;     // a decode step reads, of all ranks of the replica together
  double kv_bytes = 0;         // of one position
  int ranks = 1;
  int32_t vocab_size = 0;
};
BenchModel bench_model(const ModelConfig& config, const std::string& name, DType dtype, int ranks);

class BenchJob {
 public:
  BenchJob(const EngineConfig& config, const BenchModel& model, const DeviceRates& rates);

  EngineEvents events();
  // Runs the benchmark of config.bench.kind and prints its block to standard output. `on_warm` is
  // called when the warm-up is over.
  void run(Engine& engine, const std::function<void()>& on_warm);

 private:
  using Clock = std::chrono::steady_clock;
  struct Totals {
    int64_t prompt_tokens = 0, output_tokens = 0;
  };
  // Submits the requests together and runs them to their end; returns seconds.
  double run_all(Engine& engine, const std::vector<BenchRequest>& requests);
  std::vector<BenchRequest> batch() const;
  void warm_up(Engine& engine);
  double floor_seconds(const EngineTotals& totals) const;

  void throughput(Engine& engine, const std::function<void()>& on_warm);
  void latency(Engine& engine, const std::function<void()>& on_warm);
  void one_batch(Engine& engine, const std::function<void()>& on_warm);
  void startup(Engine& engine);
  void write_json(const std::string& json) const;

  const EngineConfig& config_;
  BenchModel model_;
  DeviceRates rates_;
  int64_t next_id_ = 1;
  Totals totals_;
  std::vector<Clock::time_point> token_times_;  // of the current run, in order
};

// Seconds since this process was started.
double process_age();

}  // namespace ll
