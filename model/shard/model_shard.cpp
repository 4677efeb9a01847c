#include "model/shard/model_shard.h"

#include "base/check.h"

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

bool divides(int64_t part, int64_t whole) { return part > 0 && whole % part == 0; }

// Heads of one group on c columns, each with an equal slice of what they put out.
std::optional<std::string> why_context_illegal(const ModelConfig& config, const GridShape& grid) {
  int groups = grid.head_groups(), context = grid.context();
  if (context == 1) return std::nullopt;
  if (!divides(groups, config.num_kv_heads))
    return fmt::format(
        "grid.heads = {}: must divide the model's {} KV heads where columns share a "
        "head group",
        groups, config.num_kv_heads);
  int64_t width = config.q_size();
  if (!divides(grid.columns() * int64_t{8}, width))
    return fmt::format("{} columns, but the {} inputs of o_proj are not so many multiples of 8",
                       grid.columns(), width);
  return std::nullopt;
}

// A gathered matrix is made of equal shards.
std::optional<std::string> why_gather_illegal(const ModelConfig& config, const GridShape& grid) {
  if (grid.z == 1) return std::nullopt;
  int groups = grid.head_groups();
  bool even_heads = divides(groups, config.num_heads) &&
                    (divides(groups, config.num_kv_heads) || divides(config.num_kv_heads, groups));
  int64_t units = config.intermediate_size / unit_of(config.intermediate_size);
  if (even_heads && divides(grid.columns(), units)) return std::nullopt;
  return fmt::format(
      "grid.z = {}: gathering needs equal shards, but {} columns do not divide the "
      "heads and the FFN evenly",
      grid.z, grid.columns());
}

}  // namespace

ModelShard shard_of(const ModelConfig& config, const GridShape& grid, const GridPlace& place) {
  ModelShard shard;
  int64_t columns = grid.columns(), column = place.j, context = grid.context();
  shard.hidden = split(config.hidden_size, grid.x, place.i);
  shard_heads(config, grid.head_groups(), column / context, shard);
  Range group{shard.heads.begin * config.head_dim, shard.heads.size * config.head_dim};
  Range slice = split(group.size, context, column % context);
  shard.attention = {group.begin + slice.begin, slice.size};
  shard.ffn = split(config.intermediate_size, columns, column, unit_of(config.intermediate_size));
  shard.vocab = split(config.vocab_size, grid.replica_size(), column * grid.x + place.i,
                      unit_of(config.vocab_size));
  shard.kv_parts = grid.kv_parts();
  shard.kv_part = static_cast<int>(column % context) * grid.x + place.i;
  shard.hidden_parts = grid.x;
  shard.merged_columns = grid.z;
  return shard;
}

Range range_of(const ModelConfig& config, const ModelShard& shard, Axis axis) {
  auto rows_of = [&](Range heads) {
    return Range{heads.begin * config.head_dim, heads.size * config.head_dim};
  };
  switch (axis) {
    case Axis::kHidden:
      return shard.hidden;
    case Axis::kQueries:
      return rows_of(shard.heads);
    case Axis::kKeys:
      return rows_of(shard.kv_heads);
    case Axis::kAttention:
      return shard.attention;
    case Axis::kFfn:
      return shard.ffn;
    case Axis::kVocab:
      return shard.vocab;
    case Axis::kOne:
    case Axis::kWholeHidden:
      break;
  }
  return {0, extent_of(config, axis)};
}

int64_t elements_of(const ModelConfig& config, const ModelShard& shard, const WeightRow& row) {
  int64_t elements = 0;
  for (const FileTensor& t : row.pieces())
    elements += range_of(config, shard, t.rows).size * range_of(config, shard, t.cols).size;
  return elements;
}

std::optional<std::string> why_illegal(const ModelConfig& config, const GridShape& grid) {
  for (auto [name, value] : {std::pair("dp", grid.dp), {"x", grid.x}, {"y", grid.y}, {"z", grid.z}})
    if (value < 1) return fmt::format("grid.{} = {}: must be at least 1", name, value);
  if (!divides(grid.head_groups(), grid.columns()))
    return fmt::format("grid.heads = {}: must divide the {} columns", grid.heads, grid.columns());
  if (grid.head_groups() > config.num_heads)
    return fmt::format("{} ranks, but the model has {} query heads, and a rank needs at least one",
                       grid.head_groups(), config.num_heads);
  if (grid.x > 1 && !divides(grid.x * int64_t{8}, config.hidden_size))
    return fmt::format("grid.x = {}: the hidden size {} is not so many multiples of 8", grid.x,
                       config.hidden_size);
  if (auto reason = why_context_illegal(config, grid)) return reason;
  int64_t units = config.intermediate_size / unit_of(config.intermediate_size);
  if (grid.columns() > units)
    return fmt::format("{} ranks, but only {} parts of the FFN", grid.columns(), units);
  if (grid.replica_size() > config.vocab_size / unit_of(config.vocab_size))
    return fmt::format("{} ranks, but a vocabulary of {}", grid.replica_size(), config.vocab_size);
  return why_gather_illegal(config, grid);
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
