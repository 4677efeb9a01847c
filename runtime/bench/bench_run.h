#pragma once
// Requests of a benchmark on their way through an engine, and when their tokens came.
#include <chrono>
#include <functional>
#include <vector>

#include "runtime/bench/bench_dataset.h"
#include "runtime/bench/bench_floor.h"
#include "runtime/engine/engine.h"

namespace ll {

using BenchClock = std::chrono::steady_clock;

struct BenchSetup {
  BenchModel model;
  DeviceRates rates;
  int64_t num_kv_positions = 0;
  int64_t max_length = 0;     // positions of a sequence
  double weights_loaded = 0;  // seconds since the launch
  std::function<BenchClock::time_point()> now = BenchClock::now;
};

class BenchRun {
 public:
  // `setup` outlives the run.
  BenchRun(const BenchSetup& setup, double temperature)
      : setup_(setup), temperature_(static_cast<float>(temperature)) {}

  EngineEvents events();

  // What was seen since begin().
  struct Seen {
    BenchClock::time_point start;
    double seconds = 0, floor_seconds = 0;
    int64_t prompt_tokens = 0, output_tokens = 0;
    std::vector<BenchClock::time_point> arrivals;  // [i]: when the last sequence had its token i
    std::vector<int64_t> finished;                 // requests, in their order
  };
  // Sequences that read the same first `shared` positions read them once.
  void begin(int64_t shared = 0);
  void submit(Engine& engine, const BenchRequest& request, int64_t id);
  void step(Engine& engine);
  Seen& seen() { return seen_; }

  // Submits the requests together and runs them to their end.
  const Seen& run_all(Engine& engine, const std::vector<BenchRequest>& requests, int64_t shared);

 private:
  const BenchSetup& setup_;
  float temperature_;
  int64_t next_id_ = 1, shared_ = 0;
  Seen seen_;
};

}  // namespace ll
