#pragma once
// Times whole steps of an engine, as a user would see them: the time between tokens.
#include "runtime/bench/bench_run.h"
#include "runtime/config/engine_config.h"
#include "runtime/rank/local_model.h"

namespace ll {

// The steps of `litelang bench grids`.
struct GridWork {
  int64_t prompts = 8, prompt_len = 1024;  // of a prefill step
  int64_t batch = 64, context = 1024;      // of decode steps: tokens before them
  int steps = 32;                          // decode steps that are measured
  int repeats = 5;                         // prefill steps that are measured

  static GridWork of(const EngineConfig& config);
  // Tokens of an answer, so that all of `sequences` run while their steps are measured.
  int64_t output_len(int64_t sequences, int64_t step_tokens) const;
  // KV memory for all of it.
  KvWish kv_wish(const RunnerOptions& limits) const;
};

class StepMeter {
 public:
  // On the first rank of each replica, which all measure together.
  StepMeter(LocalModel& local, const EngineConfig& config, const GridWork& work, bool gathered);

  // Median seconds, of the slowest replica.
  double prefill();
  double decode(int64_t sequences);

 private:
  std::vector<BenchRequest> requests(int64_t count, int64_t length, int64_t output_len);
  double slowest(std::vector<double> seconds) const;

  LocalModel& local_;
  GridWork work_;
  BenchSetup setup_;
  BenchRun run_;
  Engine engine_;
  ReplicaPool pool_;
  uint64_t next_seed_ = 0;
};

}  // namespace ll
