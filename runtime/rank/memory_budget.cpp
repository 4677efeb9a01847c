#include "runtime/rank/memory_budget.h"

#include <algorithm>

#include "runtime/engine/model_runner.h"

namespace ll {
namespace {

double megabytes(size_t bytes) { return static_cast<double>(bytes) / 1e6; }

int64_t pages_of(int64_t positions, int64_t page_size) {
  return (positions + page_size - 1) / page_size;
}

void find_memory(const EngineConfig& config, const Backend& backend, int local_ranks,
                 size_t resident, MemoryBudget& b) {
  MemoryInfo memory = backend.device.memory_info();
  bool is_cpu = backend.kind == BackendKind::kCpu;
  memory.free_bytes += resident * static_cast<size_t>(is_cpu ? local_ranks : 1);
  if (is_cpu) {
    double share = config.kv_cache.memory_bytes > 0 ? 1.0 : kCpuMemoryShare;
    b.available = static_cast<size_t>(static_cast<double>(memory.free_bytes) * share) /
                  static_cast<size_t>(local_ranks);
    return;
  }
  auto limit = static_cast<size_t>(static_cast<double>(memory.total_bytes) *
                                   config.kv_cache.gpu_memory_utilization);
  b.in_use = memory.total_bytes - memory.free_bytes;
  b.available = limit > b.in_use ? limit - b.in_use : 0;
}

// Of decode steps, and again of those that run in gathered mode if the user wants any to.
size_t graph_bytes(const EngineConfig& config, const RunnerOptions& options,
                   const ModelConfig& model, const ModelShard& shard) {
  int32_t rows = std::min(options.graph_max_rows, options.max_num_seqs);
  size_t bytes = DecodeGraphs::estimated_bytes(rows, model.num_layers);
  bool gathers = shard.merged_columns > 1 && config.gather_tokens > 0;
  return gathers && config.gather_tokens <= rows ? 2 * bytes : bytes;
}

}  // namespace

std::string MemoryBudget::str() const {
  std::string text =
      fmt::format("weights {:.1f} MB, buffers {:.1f} MB", megabytes(weights), megabytes(buffers));
  if (graphs > 0) text += fmt::format(", graphs {:.1f} MB", megabytes(graphs));
  text +=
      fmt::format(", KV cache {:.1f} MB ({} pages, {} tokens) of {:.1f} MB", megabytes(kv_bytes()),
                  num_pages, num_pages * page_span, megabytes(available));
  if (in_use > 0) text += fmt::format(", {:.1f} MB in use before", megabytes(in_use));
  return text;
}

MemoryBudget plan_memory(const EngineConfig& config, const RunnerOptions& options,
                         const Backend& backend, const ModelConfig& model, const ModelShard& shard,
                         DType dtype, int replica_ranks, int local_ranks, size_t resident) {
  MemoryBudget b;
  find_memory(config, backend, local_ranks, resident, b);
  WeightPlacements placements = weight_placements(model, shard);
  b.weights = weight_bytes(placements, backend.ops, dtype);
  b.buffers = ModelRunner::buffer_bytes(options, model, shard, dtype, replica_ranks) +
              GatheredWeights::bytes(placements, backend.ops, dtype, shard.merged_columns,
                                     shard.merged_share_heads());
  if (backend.graphs) b.graphs = graph_bytes(config, options, model, shard);
  b.page_bytes = KvCache::page_bytes(model, shard, dtype, options.page_size);
  check(config.kv_cache.memory_bytes == 0 || config.kv_cache.memory_bytes >= b.page_bytes,
        "kv_cache.memory_bytes: {} is less than a page of {} positions, which takes {}",
        config.kv_cache.memory_bytes, options.page_size, b.page_bytes);
  b.page_span = shard.positions(options.page_size).span();
  int64_t longest = pages_of(options.max_length, b.page_span);
  // More than all sequences at full length could never be used, nor be numbered in int32.
  int64_t useful = std::min<int64_t>(longest * options.max_num_seqs, INT32_MAX);
  size_t fixed = b.fixed_bytes(), room = b.available > fixed ? b.available - fixed : 0;
  size_t wanted = config.kv_cache.memory_bytes > 0 ? config.kv_cache.memory_bytes : room;
  b.num_pages = std::min(static_cast<int64_t>(std::min(wanted, room) / b.page_bytes), useful);
  bool is_short = config.kv_cache.memory_bytes > room;
  check(b.num_pages > 0 && !is_short,
        "not enough memory: weights {:.1f} MB, buffers {:.1f} MB{} and {} {:.1f} MB exceed the "
        "{:.1f} MB this rank may use{}; use more ranks, a lower "
        "scheduler.max_num_batched_tokens or max_num_seqs, or a smaller kv_cache.memory_bytes",
        megabytes(b.weights), megabytes(b.buffers),
        b.graphs > 0 ? fmt::format(", graphs {:.1f} MB", megabytes(b.graphs)) : "",
        is_short ? "kv_cache.memory_bytes" : "one KV page of",
        megabytes(is_short ? config.kv_cache.memory_bytes : b.page_bytes), megabytes(b.available),
        b.in_use > 0 ? fmt::format(" (kv_cache.gpu_memory_utilization {} less {:.1f} MB in use)",
                                   config.kv_cache.gpu_memory_utilization, megabytes(b.in_use))
                     : "");
  return b;
}

}  // namespace ll
