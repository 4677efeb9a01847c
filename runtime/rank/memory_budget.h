#pragma once
// Every byte of device memory, before the first is allocated.
#include <string>

#include "model/shard/decoder_weights.h"
#include "runtime/config/engine_config.h"
#include "runtime/engine/runner_options.h"

namespace ll {

// Of a CPU host's free memory; other programs live there too.
constexpr double kCpuMemoryShare = 0.5;

struct MemoryBudget {
  size_t available = 0;  // to this rank
  size_t in_use = 0;     // of a GPU before: other programs, the driver, scratch and communicators
  size_t weights = 0, buffers = 0;
  size_t graphs = 0;      // an estimate
  size_t page_bytes = 0;  // of this rank
  int64_t page_span = 0;  // positions of a sequence that a page stands for, on all ranks
  int64_t num_pages = 0;

  size_t kv_bytes() const { return static_cast<size_t>(num_pages) * page_bytes; }
  size_t fixed_bytes() const { return weights + buffers + graphs; }
  // "weights 988.1 MB, buffers 120.0 MB, graphs 80.0 MB, KV cache 4000.0 MB (5000 pages, 320000
  // tokens) of 16000.0 MB, 700.0 MB in use before"
  std::string str() const;
};

// What this rank can afford; throws Error with the numbers when not even one sequence fits.
// `options.num_pages` is ignored. `local_ranks` share the host's memory on a CPU. `resident` bytes
// of the weights are there already.
MemoryBudget plan_memory(const EngineConfig& config, const RunnerOptions& options,
                         const Backend& backend, const ModelConfig& model, const ModelShard& shard,
                         DType dtype, int replica_ranks, int local_ranks, size_t resident = 0);

}  // namespace ll
