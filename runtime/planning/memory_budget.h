#pragma once
// Every byte of device memory, before the first is allocated: for a rank that is about to run, and
// for the planner, which has no device.
#include <string>

#include "model/shard/decoder_weights.h"
#include "runtime/engine/runner_options.h"

namespace ll {

struct DeviceMemory {
  size_t available = 0;  // to a rank
  size_t in_use = 0;     // of a GPU before: other programs, the driver, scratch and communicators
  PackedBytes packed_bytes = natural_bytes;  // natural_bytes: as the CUDA backend lays weights out
  bool has_graphs = false;
};

// What the user asks for.
struct MemoryWish {
  size_t kv_bytes = 0;        // for KV pages; 0: all there is room for
  int32_t gather_tokens = 0;  // decode steps of so many rows gather weights; 0: not said
};

struct MemoryBudget {
  size_t available = 0, in_use = 0;  // as in DeviceMemory
  size_t weights = 0, buffers = 0;
  size_t graphs = 0;      // an estimate
  size_t page_bytes = 0;  // of this rank
  int64_t page_span = 0;  // positions of a sequence that a page stands for, on all ranks
  int64_t num_pages = 0;  // 0: it does not fit

  size_t kv_bytes() const { return static_cast<size_t>(num_pages) * page_bytes; }
  size_t fixed_bytes() const { return weights + buffers + graphs; }
  size_t room() const { return available > fixed_bytes() ? available - fixed_bytes() : 0; }
  // "weights 988.1 MB, buffers 120.0 MB, graphs 80.0 MB, KV cache 4000.0 MB (5000 pages, 320000
  // tokens) of 16000.0 MB, 700.0 MB in use before"
  std::string str() const;
};

// What `limits.num_pages` says is ignored. `replica_ranks`: of the grid that `part` is of.
MemoryBudget plan_memory(const ModelPart& part, const RunnerOptions& limits, int replica_ranks,
                         const DeviceMemory& memory, const MemoryWish& wish = {});

}  // namespace ll
