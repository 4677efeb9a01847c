#include "model/model_shard.h"

#include "kernels/check.h"

namespace ll {
namespace {

// FFN columns and vocabulary rows are cut at multiples of eight where they are multiples of it:
// 16-byte rows for the matrix units.
int64_t unit_of(int64_t extent) { return extent % 8 == 0 ? 8 : 1; }

void shard_heads(const ModelConfig& config, int64_t parts, int64_t index, ModelShard& shard) {
  int64_t kv = config.num_kv_heads, group = config.group_size();
  if (parts <= kv) {
    shard.kv_heads = split(kv, parts, index);
    shard.heads = {shard.kv_heads.begin * group, shard.kv_heads.size * group};
    return;
  }
  int64_t head = 0;
  while (!split(parts, kv, head).contains(index)) ++head;
  Range holders = split(parts, kv, head);  // ranks that replicate KV head `head`
  Range part = split(group, holders.size, index - holders.begin);
  shard.kv_heads = {head, 1};
  shard.heads = {head * group + part.begin, part.size};
}

// The most ranks heads can be dealt to.
int64_t max_columns(const ModelConfig& config) { return config.num_heads; }

}  // namespace

ModelShard shard_of(const ModelConfig& config, const GridShape& grid, const GridPlace& place) {
  ModelShard shard;
  int64_t columns = grid.columns(), column = place.j;
  shard.hidden = split(config.hidden_size, grid.x, place.i);
  shard_heads(config, columns, column, shard);
  shard.ffn = split(config.intermediate_size, columns, column, unit_of(config.intermediate_size));
  shard.vocab = split(config.vocab_size, grid.replica_size(), column * grid.x + place.i,
                      unit_of(config.vocab_size));
  return shard;
}

std::optional<std::string> why_illegal(const ModelConfig& config, const GridShape& grid) {
  auto is = [](const char* name, int value) { return fmt::format("grid.{} = {}", name, value); };
  if (grid.dp != 1) return is("dp", grid.dp) + ": only 1 is supported";
  if (grid.x != 1) return is("x", grid.x) + ": only 1 is supported";
  if (grid.z != 1) return is("z", grid.z) + ": only 1 is supported";
  if (grid.heads != 0 && grid.heads != grid.y)
    return is("heads", grid.heads) + ": only y head groups are supported";
  if (grid.y < 1) return is("y", grid.y) + ": must be at least 1";
  int64_t units = config.intermediate_size / unit_of(config.intermediate_size);
  if (grid.columns() > max_columns(config))
    return fmt::format("{} ranks, but the model has {} query heads, and a rank needs at least one",
                       grid.columns(), config.num_heads);
  if (grid.columns() > units)
    return fmt::format("{} ranks, but only {} parts of the FFN", grid.columns(), units);
  if (grid.replica_size() > config.vocab_size / unit_of(config.vocab_size))
    return fmt::format("{} ranks, but a vocabulary of {}", grid.replica_size(), config.vocab_size);
  return std::nullopt;
}

GridShape choose_grid(const ModelConfig& config, const std::optional<GridShape>& wanted,
                      int num_ranks) {
  GridShape grid = wanted.value_or(GridShape{.y = num_ranks});
  auto reason = why_illegal(config, grid);
  if (reason && !wanted) {
    int nearest = num_ranks;
    while (nearest > 1 && why_illegal(config, GridShape{.y = nearest})) --nearest;
    fail_usage("grid: {}; the nearest number of ranks that works is {}", *reason, nearest);
  }
  if (reason) fail_usage("grid: {}", *reason);
  if (grid.num_ranks() != num_ranks)
    fail_usage("grid: {} is {} ranks, but {} were started; use -np {} or change grid", grid.str(),
               grid.num_ranks(), num_ranks, grid.num_ranks());
  return grid;
}

}  // namespace ll
