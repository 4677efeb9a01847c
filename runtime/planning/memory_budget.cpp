#include "runtime/planning/memory_budget.h"

#include <algorithm>

#include "base/numbers.h"
#include "runtime/engine/model_runner.h"

namespace ll {
namespace {

double megabytes(size_t bytes) { return static_cast<double>(bytes) / 1e6; }

int64_t pages_of(int64_t positions, int64_t page_span) { return ceil_div(positions, page_span); }

// Graphs of decode steps, and again of those that run in gathered mode if the user wants any to.
size_t graph_bytes(const ModelPart& part, const RunnerOptions& limits, int32_t gather_tokens) {
  int32_t rows = limits.max_captured_rows();
  size_t bytes = DecodeGraphs::estimated_bytes(rows, part.config.num_layers);
  bool gathers = part.shard.merged_columns > 1 && gather_tokens > 0;
  return gathers && gather_tokens <= rows ? 2 * bytes : bytes;
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

MemoryBudget plan_memory(const ModelPart& part, const RunnerOptions& limits, int replica_ranks,
                         const DeviceMemory& memory, const MemoryWish& wish) {
  const auto& [config, shard, dtype] = part;
  WeightPlacements placements = weight_placements(config, shard);
  MemoryBudget b{.available = memory.available, .in_use = memory.in_use};
  b.weights = weight_bytes(placements, memory.packed_bytes, dtype);
  b.buffers = ModelRunner::buffer_bytes(limits, part, replica_ranks) +
              GatheredWeights::bytes(placements, memory.packed_bytes, dtype, shard.merged_columns,
                                     shard.merged_share_heads());
  if (memory.has_graphs) b.graphs = graph_bytes(part, limits, wish.gather_tokens);
  b.page_bytes = KvCache::page_bytes(part, limits.page_size);
  b.page_span = shard.positions(limits.page_size).span();
  // More than all sequences at full length could never be used, nor be numbered in int32.
  int64_t longest = pages_of(limits.max_length, b.page_span),
          useful = std::min<int64_t>(longest * limits.max_num_seqs, INT32_MAX);
  size_t wanted = wish.kv_bytes > 0 ? wish.kv_bytes : b.room();
  if (wanted <= b.room())
    b.num_pages = std::min(static_cast<int64_t>(wanted / b.page_bytes), useful);
  return b;
}

}  // namespace ll
