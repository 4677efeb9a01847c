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

  // Whether an engine is to be warmed up before the run, each by its own rank.
  bool warms_up() const;
  // Every bucket of decode rows twice, so that its graph is captured (sequences end one by one),
  // and again with a common start where the benchmark's prompts have one; then a full step of
  // prompts.
  void warm_up(ReplicaPool& pool);
  // Runs the benchmark of config.bench.kind. `on_warm` is called when the warm-up is over.
  BenchReport run(ReplicaPool& pool, const std::function<void()>& on_warm);

 private:
  std::vector<BenchRequest> dataset() const;
  SharedStart shared_start(const std::vector<BenchRequest>& requests) const;
  const BenchRun::Seen& run_all(ReplicaPool& pool, const std::vector<BenchRequest>& requests);
  void warm_up_decoding(ReplicaPool& pool, int64_t longest, int64_t shared);
  std::vector<BenchRequest> next_batch();
  std::vector<BenchRequest> prompts_of_full_step(int64_t longest) const;

  BenchReport throughput(ReplicaPool& pool, const std::function<void()>& on_warm);
  BenchReport latency(ReplicaPool& pool, const std::function<void()>& on_warm);
  BenchReport one_batch(ReplicaPool& pool, const std::function<void()>& on_warm);
  BenchReport startup(ReplicaPool& pool);

  const EngineConfig& config_;
  BenchSetup setup_;
  uint64_t next_seed_;
  BenchRun run_;
};

}  // namespace ll
