#include "model/shard/model_shard.h"

#include <doctest/doctest.h>

#include <random>
#include <vector>

#include "base/check.h"
#include "tests/unit/model/files/model_files.h"

using namespace ll;
using namespace ll::test;

namespace {

ModelConfig make_config(int64_t heads, int64_t kv_heads) {
  ModelConfig c;
  c.hidden_size = heads * 8;
  c.intermediate_size = 24 * heads;
  c.num_layers = 1;
  c.num_heads = heads;
  c.num_kv_heads = kv_heads;
  c.head_dim = 8;
  c.vocab_size = 512;
  return c;
}

std::vector<ModelShard> shards_of(const ModelConfig& config, int y) {
  std::vector<ModelShard> shards;
  GridShape grid{.y = y};
  for (int rank = 0; rank < y; ++rank)
    shards.push_back(shard_of(config, grid, place_of(grid, rank)));
  return shards;
}

// How often `shards` hold each index of [0, extent).
std::vector<int> coverage(const std::vector<ModelShard>& shards, Range ModelShard::*part,
                          int64_t extent) {
  std::vector<int> count(static_cast<size_t>(extent));
  for (const ModelShard& s : shards)
    for (int64_t i = (s.*part).begin; i < (s.*part).end(); ++i) ++count.at(static_cast<size_t>(i));
  return count;
}

bool covers_once(const std::vector<ModelShard>& shards, Range ModelShard::*part, int64_t extent) {
  return coverage(shards, part, extent) == std::vector<int>(static_cast<size_t>(extent), 1);
}

// Each query head's KV head is at hand, at the same distance for all: the kernels know one group
// size only.
void check_heads(const ModelConfig& config, const ModelShard& s) {
  REQUIRE(s.heads.size >= 1);
  REQUIRE(s.kv_heads.size >= 1);
  REQUIRE(s.heads.size % s.kv_heads.size == 0);
  int64_t group = s.heads.size / s.kv_heads.size;
  for (int64_t h = 0; h < s.heads.size; ++h)
    REQUIRE((s.heads.begin + h) / config.group_size() == s.kv_heads.begin + h / group);
  REQUIRE(s.qkv_rows(config) == (s.heads.size + 2 * s.kv_heads.size) * config.head_dim);
}

// Whole KV groups while there are as many KV heads as ranks; beyond that each KV head is with the
// ranks that share its query heads, and with no other.
void check_replication(const ModelConfig& config, const std::vector<ModelShard>& shards) {
  auto y = static_cast<int64_t>(shards.size());
  if (y <= config.num_kv_heads) {
    REQUIRE(covers_once(shards, &ModelShard::kv_heads, config.num_kv_heads));
    return;
  }
  auto holders = coverage(shards, &ModelShard::kv_heads, config.num_kv_heads);
  int64_t sum = 0;
  for (int n : holders) {
    REQUIRE(n >= y / config.num_kv_heads);
    REQUIRE(n <= y / config.num_kv_heads + 1);
    sum += n;
  }
  REQUIRE(sum == y);  // one KV head a rank
}

}  // namespace

TEST_CASE("any y up to the number of query heads deals everything out once") {
  std::mt19937 rng(1);
  for (int round = 0; round < 60; ++round) {
    auto kv = static_cast<int64_t>(1 + rng() % 8), group = static_cast<int64_t>(1 + rng() % 8);
    ModelConfig config = make_config(kv * group, kv);
    config.intermediate_size = static_cast<int64_t>(8 * config.num_heads + rng() % 200);
    config.vocab_size = static_cast<int64_t>(8 * config.num_heads + rng() % 2000);
    for (int y = 1; y <= config.num_heads; ++y) {
      CAPTURE(config.num_heads);
      CAPTURE(kv);
      CAPTURE(y);
      REQUIRE(!why_illegal(config, GridShape{.y = y}));
      auto shards = shards_of(config, y);
      for (const ModelShard& s : shards) {
        check_heads(config, s);
        REQUIRE(s.hidden == Range{0, config.hidden_size});
        REQUIRE(s.ffn.size > 0);
        REQUIRE(s.vocab.size > 0);
        if (config.intermediate_size % 8 == 0) REQUIRE(s.ffn.size % 8 == 0);
        if (config.vocab_size % 8 == 0) REQUIRE(s.vocab.size % 8 == 0);
      }
      REQUIRE(covers_once(shards, &ModelShard::heads, config.num_heads));
      REQUIRE(covers_once(shards, &ModelShard::ffn, config.intermediate_size));
      REQUIRE(covers_once(shards, &ModelShard::vocab, config.vocab_size));
      check_replication(config, shards);
    }
  }
}

namespace {

using Blocks = std::vector<ShardSpec>;

// How often the blocks hold each element of a [rows, cols] matrix; all the same, else -1.
int times_covered(const Blocks& blocks, int64_t rows, int64_t cols) {
  std::vector<int> count(static_cast<size_t>(rows * cols));
  for (const ShardSpec& b : blocks)
    for (int64_t r = b.rows.begin; r < b.rows.end(); ++r)
      for (int64_t c = b.cols.begin; c < b.cols.end(); ++c)
        ++count.at(static_cast<size_t>(r * cols + c));
  for (int n : count)
    if (n != count[0]) return -1;
  return count[0];
}

// What the ranks of a grid hold of each matrix of a layer.
struct Held {
  Blocks q, k, o, gate, down, embed;
};

Held held_by(const ModelConfig& config, const GridShape& grid) {
  Held held;
  int64_t d = config.head_dim;
  for (int rank = 0; rank < grid.num_ranks(); ++rank) {
    ModelShard s = shard_of(config, grid, place_of(grid, rank));
    held.q.push_back({{s.heads.begin * d, s.heads.size * d}, s.hidden});
    held.k.push_back({{s.kv_heads.begin * d, s.kv_heads.size * d}, s.hidden});
    held.o.push_back({s.hidden, s.attention});
    held.gate.push_back({s.ffn, s.hidden});
    held.down.push_back({s.hidden, s.ffn});
    held.embed.push_back({s.vocab, {0, 1}});
  }
  return held;
}

}  // namespace

TEST_CASE("the shards of every legal grid tile each matrix") {
  std::mt19937 rng(2);
  int num_grids = 0;
  for (auto [heads, kv] : {std::pair<int64_t, int64_t>{8, 4}, {14, 2}, {12, 2}, {6, 3}}) {
    ModelConfig config = make_config(heads, kv);
    config.intermediate_size = static_cast<int64_t>(8 * (16 + rng() % 20));
    for (int x : {1, 2, 3, 4})
      for (int y = 1; y <= 16 / x; ++y)
        for (int groups = 1; groups <= y; ++groups) {
          GridShape grid{.x = x, .y = y, .heads = groups};
          if (y % groups != 0 || why_illegal(config, grid)) continue;
          ++num_grids;
          CAPTURE(grid.str());
          Held held = held_by(config, grid);
          int64_t e = config.hidden_size, f = config.intermediate_size;
          REQUIRE(times_covered(held.q, config.q_size(), e) == grid.context());
          if (groups <= kv) REQUIRE(times_covered(held.k, config.kv_size(), e) == grid.context());
          REQUIRE(times_covered(held.o, e, config.q_size()) == 1);
          REQUIRE(times_covered(held.gate, f, e) == 1);
          REQUIRE(times_covered(held.down, e, f) == 1);
          REQUIRE(times_covered(held.embed, config.vocab_size, 1) == 1);
        }
  }
  CHECK(num_grids > 80);
}

TEST_CASE("each position of a head group is with exactly one of the ranks that share it") {
  ModelConfig config = make_config(8, 4);
  for (GridShape grid :
       {GridShape{.x = 2, .y = 4, .heads = 2}, {.y = 8, .heads = 1}, {.x = 3, .y = 2}, {.y = 4}}) {
    CAPTURE(grid.str());
    for (int64_t page_size : {1, 3, 16}) {
      std::vector<std::vector<int>> owners(static_cast<size_t>(grid.head_groups()),
                                           std::vector<int>(200));
      for (int rank = 0; rank < grid.num_ranks(); ++rank) {
        GridPlace place = place_of(grid, rank);
        PositionSplit split = shard_of(config, grid, place).positions(page_size);
        auto& of_group = owners[static_cast<size_t>(place.j / grid.context())];
        int32_t own = 0;
        for (int32_t position = 0; position < 200; ++position) {
          REQUIRE(split.count(position) == own);
          if (!split.owns(position)) continue;
          ++of_group[static_cast<size_t>(position)];
          // The page of the sequence that holds the position is the page of the rank's own.
          REQUIRE(own / page_size == position / split.span());
          ++own;
        }
      }
      for (const auto& of_group : owners) REQUIRE(of_group == std::vector<int>(200, 1));
    }
  }
}

TEST_CASE("Qwen2.5's own sizes on the usual numbers of ranks") {
  ModelConfig half = make_config(14, 2);  // 0.5B
  auto shards = shards_of(half, 4);
  CHECK(shards[0].heads == Range{0, 4});
  CHECK(shards[1].heads == Range{4, 3});
  CHECK(shards[2].heads == Range{7, 4});
  CHECK(shards[3].heads == Range{11, 3});
  for (size_t r = 0; r < 4; ++r) CHECK(shards[r].kv_heads == Range{static_cast<int64_t>(r / 2), 1});
  ModelConfig seven = make_config(28, 4);  // 7B
  shards = shards_of(seven, 2);
  CHECK(shards[1].heads == Range{14, 14});
  CHECK(shards[1].kv_heads == Range{2, 2});
  shards = shards_of(seven, 3);  // uneven: 2, 1 and 1 KV heads with their seven query heads each
  CHECK(shards[0].heads == Range{0, 14});
  CHECK(shards[1].heads == Range{14, 7});
  CHECK(shards[2].kv_heads == Range{3, 1});
}

TEST_CASE("a grid that cannot run the model is refused with the reason") {
  ModelConfig config = make_config(6, 2);
  auto reason = [&](GridShape grid) { return why_illegal(config, grid).value_or(""); };
  CHECK(reason({.y = 6}) == "");
  CHECK(reason({.y = 7}) ==
        "7 ranks, but the model has 6 query heads, and a rank needs at least one");
  CHECK(reason({.dp = 2, .y = 2}) == "");
  CHECK(reason({.x = 2, .y = 2}) == "");
  CHECK(reason({.x = 4, .y = 2}) == "grid.x = 4: the hidden size 48 is not so many multiples of 8");
  CHECK(reason({.y = 4, .heads = 3}) == "grid.heads = 3: must divide the 4 columns");
  CHECK(reason({.y = 6, .heads = 3}) ==
        "grid.heads = 3: must divide the model's 2 KV heads where columns share a head group");
  CHECK(reason({.y = 3, .heads = 1}) == "");
  CHECK(reason({.y = 4, .heads = 2}) ==
        "4 columns, but the 48 inputs of o_proj are not so many multiples of 8");
  CHECK(reason({.y = 3, .z = 2}) == "");
  CHECK(reason({.y = 2, .z = 2}) ==
        "grid.z = 2: gathering needs equal shards, but 4 columns do not divide the heads and the "
        "FFN evenly");
  CHECK(contains(reason({.y = 0}), "at least 1"));
  config.intermediate_size = 24;  // three units of eight
  CHECK(reason({.y = 4}) == "4 ranks, but only 3 parts of the FFN");
  config.intermediate_size = 1024;
  config.vocab_size = 5;
  CHECK(reason({.y = 6}) == "6 ranks, but a vocabulary of 5");
}

TEST_CASE("auto takes all ranks, or names the nearest number that works") {
  ModelConfig config = make_config(6, 2);
  CHECK(choose_grid(config, std::nullopt, 4) == GridShape{.y = 4});
  std::string message = error_of([&] { choose_grid(config, std::nullopt, 9); });
  CHECK(contains(message, "9 ranks"));
  CHECK(contains(message, "the nearest number of ranks that works is 6"));
  config.intermediate_size = 16;
  message = error_of([&] { choose_grid(config, std::nullopt, 4); });
  CHECK(contains(message, "the nearest number of ranks that works is 2"));
}

TEST_CASE("a given grid must be legal and as large as the world") {
  ModelConfig config = make_config(6, 2);
  CHECK(choose_grid(config, GridShape{.y = 3}, 3) == GridShape{.y = 3});
  CHECK(error_of([&] { choose_grid(config, GridShape{.y = 2}, 3); }) ==
        "grid: dp 1 x 1 y 2 z 1 is 2 ranks, but 3 were started; use -np 2 or change grid");
  CHECK(contains(error_of([&] { choose_grid(config, GridShape{.x = 4}, 4); }), "grid.x = 4"));
  try {
    choose_grid(config, GridShape{.y = 7}, 7);
    FAIL("a rank without a query head was accepted");
  } catch (const Error& e) {
    CHECK(e.code() == ExitCode::kUsage);
  }
}
