#pragma once
// Benchmarks in the program, each result beside the floor the device sets.
#include <functional>

#include "runtime/bench/bench_report.h"
#include "runtime/bench/bench_run.h"
#include "runtime/config/engine_config.h"

namespace ll {

class BenchJob {
 public:
  BenchJob(const EngineConfig& config, BenchSetup setup);

  EngineEvents events() { return run_.events(); }
  // Every bucket of decode rows twice, so that its graph is captured (sequences end one by one);
  // then a full step of prompts.
  void warm_up(Engine& engine);
  // The requests of the throughput benchmark, and the tokens that all their prompts begin with.
  std::vector<BenchRequest> dataset() const;
  int64_t shared_tokens(const std::vector<BenchRequest>& requests) const;
  // What the engine runs, for a benchmark of several replicas.
  BenchRun& requests_run() { return run_; }
  // Runs the benchmark of config.bench.kind. `on_warm` is called when the warm-up is over.
  BenchReport run(Engine& engine, const std::function<void()>& on_warm);

 private:
  const BenchRun::Seen& run_all(Engine& engine, const std::vector<BenchRequest>& requests);
  std::vector<BenchRequest> next_batch();
  std::vector<BenchRequest> prompts_of_full_step(int64_t longest) const;

  BenchReport throughput(Engine& engine, const std::function<void()>& on_warm);
  BenchReport latency(Engine& engine, const std::function<void()>& on_warm);
  BenchReport one_batch(Engine& engine, const std::function<void()>& on_warm);
  BenchReport startup(Engine& engine);

  const EngineConfig& config_;
  BenchSetup setup_;
  uint64_t next_seed_;
  BenchRun run_;
};

}  // namespace ll
