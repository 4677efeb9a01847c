#pragma once
// What this rank may use of its device's memory, and what it uses it for.
#include "runtime/config/engine_config.h"
#include "runtime/planning/memory_budget.h"

namespace ll {

// What there is. `local_ranks` share the host's memory on a CPU. `resident` bytes of the weights
// are there already.
DeviceMemory device_memory(const EngineConfig& config, const Backend& backend, int local_ranks,
                           size_t resident = 0);

// What this rank can afford; throws Error with the numbers when not even one sequence fits.
MemoryBudget affordable_memory(const EngineConfig& config, const ModelPart& part,
                               const RunnerOptions& options, int replica_ranks,
                               const DeviceMemory& memory);

}  // namespace ll
