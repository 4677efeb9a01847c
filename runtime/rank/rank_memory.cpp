#include "runtime/rank/rank_memory.h"

namespace ll {
namespace {

// The part of a CPU host's free memory that ranks take; other programs live there too.
constexpr double kCpuMemoryShare = 0.5;

double megabytes(size_t bytes) { return static_cast<double>(bytes) / 1e6; }

}  // namespace

DeviceMemory device_memory(const EngineConfig& config, const Backend& backend, int local_ranks,
                           size_t resident) {
  MemoryInfo memory = backend.device.memory_info();
  bool is_cpu = backend.kind == BackendKind::kCpu;
  memory.free_bytes += resident * static_cast<size_t>(is_cpu ? local_ranks : 1);
  DeviceMemory m{.packed_bytes = backend.ops.packed_bytes, .has_graphs = backend.graphs != nullptr};
  if (is_cpu) {
    double share = config.kv_cache.memory_bytes > 0 ? 1.0 : kCpuMemoryShare;
    m.available = static_cast<size_t>(static_cast<double>(memory.free_bytes) * share) /
                  static_cast<size_t>(local_ranks);
    return m;
  }
  auto limit = static_cast<size_t>(static_cast<double>(memory.total_bytes) *
                                   config.kv_cache.gpu_memory_utilization);
  m.in_use = memory.total_bytes - memory.free_bytes;
  m.available = limit > m.in_use ? limit - m.in_use : 0;
  return m;
}

MemoryBudget affordable_memory(const EngineConfig& config, const ModelPart& part,
                               const RunnerOptions& options, int replica_ranks,
                               const DeviceMemory& memory) {
  size_t asked = config.kv_cache.memory_bytes;
  MemoryBudget b = plan_memory(part, options, replica_ranks, memory,
                               {.kv_bytes = asked, .gather_tokens = config.gather_tokens});
  check(asked == 0 || asked >= b.page_bytes,
        "kv_cache.memory_bytes: {} is less than a page of {} positions, which takes {}", asked,
        options.page_size, b.page_bytes);
  bool is_short = asked > b.room();
  check(b.num_pages > 0,
        "not enough memory: weights {:.1f} MB, buffers {:.1f} MB{} and {} {:.1f} MB exceed the "
        "{:.1f} MB this rank may use{}; use more ranks, a lower "
        "scheduler.max_num_batched_tokens or max_num_seqs, or a smaller kv_cache.memory_bytes",
        megabytes(b.weights), megabytes(b.buffers),
        b.graphs > 0 ? fmt::format(", graphs {:.1f} MB", megabytes(b.graphs)) : "",
        is_short ? "kv_cache.memory_bytes" : "one KV page of",
        megabytes(is_short ? asked : b.page_bytes), megabytes(b.available),
        b.in_use > 0 ? fmt::format(" (kv_cache.gpu_memory_utilization {} less {:.1f} MB in use)",
                                   config.kv_cache.gpu_memory_utilization, megabytes(b.in_use))
                     : "");
  return b;
}

}  // namespace ll
