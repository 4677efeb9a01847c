#pragma once
// What the YAML file and --set say, checked once and then constant: one member a section. Which
// keys there are, rooms say in rows (config_rows.h); runtime/job_config.h has all of them.
#include <cstdint>
#include <optional>
#include <string>

#include "parallel/grid_shape.h"
#include "runtime/config/batch_options.h"
#include "runtime/config/bench_options.h"
#include "runtime/config/model_options.h"
#include "runtime/config/server_options.h"

namespace ll {

struct EngineConfig {
  using LoadFormat = ModelOptions::LoadFormat;
  using JobType = ll::JobType;
  enum class BackendChoice { kAuto, kCpu, kCuda };

  using Model = ModelOptions;
  Model model;

  BackendChoice backend = BackendChoice::kAuto;
  std::optional<GridShape> grid;  // empty: auto
  int gather_tokens = 0;  // rows from which a step of a grid with z > 1 gathers weights; 0: auto
  int threads = 0;        // of a CPU rank; 0: as many as processors are its own

  struct KvCache {
    int page_size = 64;
    size_t memory_bytes = 0;  // 0: as much as fits
    double gpu_memory_utilization = 0.9;
    bool radix = true;
    bool cascade = true;
    bool operator==(const KvCache&) const = default;
  } kv_cache;

  struct Scheduler {
    int max_num_seqs = 0;  // 0: by memory and model
    int max_num_batched_tokens = 8192;
    bool chunked_prefill = true;
    bool async = true;
    int64_t max_input_length = 0, max_output_length = 0;  // 0: the model's limit
    int64_t max_waiting = 1'000'000;
    double busy_scale = 0.5;
    bool operator==(const Scheduler&) const = default;
  } scheduler;

  // Speculative decoding without a draft model. Names are vLLM's.
  struct Speculative {
    enum class Method { kNone, kNgram };
    Method method = Method::kNone;
    int num_speculative_tokens = 7;
    int prompt_lookup_min = 2, prompt_lookup_max = 8;
    bool adaptive = true;
    double synthetic_acceptance_length = 0;

    bool is_on() const { return method != Method::kNone; }
    bool operator==(const Speculative&) const = default;
  } speculative;

  int cuda_graph_max_bs = 1024;  // decode steps of up to so many sequences replay a CUDA graph
  bool enforce_eager = false;    // no CUDA graphs
  uint64_t seed = 0;             // of requests that bring none
  int step_timeout_s = 300;      // 0: none
  int load_threads = 4;          // that read weights

  std::string record_plan, replay_plan;  // files; empty: none

  BatchOptions job;

  using Bench = BenchOptions;
  Bench bench;

  ServerOptions server;

  bool operator==(const EngineConfig&) const = default;

  // Whether several replicas can do the job.
  bool can_replicate() const {
    return job.type != JobType::kBench || bench.kind == Bench::Kind::kThroughput;
  }
};

}  // namespace ll
