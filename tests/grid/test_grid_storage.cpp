// Where keys and values lie, and that mistakes in who holds what do not go unnoticed.
#include <doctest/doctest.h>

#include <cmath>

#include "runtime/engine/model_runner.h"
#include "tests/support/compare.h"
#include "tests/support/counting_device.h"
#include "tests/support/grid_models.h"

using namespace ll;
using namespace ll::test;

namespace {

// Positions (times layers, KV heads, keys and values) written to a cache that was poisoned.
int64_t lines_written(const KvCache& kv, const ModelConfig& config) {
  int64_t count = 0;
  for (int64_t l = 0; l < config.num_layers; ++l)
    for (const TensorView& pool : {kv.layer(l).k, kv.layer(l).v}) {
      auto values = download_floats(pool);
      for (size_t i = 0; i < values.size(); i += static_cast<size_t>(config.head_dim))
        count += !std::isnan(values[i]);
    }
  return count;
}

void poison(const KvCache& kv, const ModelConfig& config) {
  for (int64_t l = 0; l < config.num_layers; ++l)
    for (const TensorView& pool : {kv.layer(l).k, kv.layer(l).v})
      backend().device.fill(stream(), pool.data, 0xff, pool.bytes());
}

using Logits = std::vector<float>;

Logits logits_after_steps(TestModel& model) {
  model.forward(grid_prompt(37, 1), 0);
  return model.logits(model.forward(grid_prompt(2, 3), 37));
}

struct Mistake {
  const char* what;
  GridShape grid;
  std::function<void(ModelShard&)> spoil;
};

// Each on one rank or between neighbours, and each leaves all sizes as they are.
std::vector<Mistake> mistakes() {
  GridShape split{.y = 4, .heads = 2}, deep{.x = 2, .y = 2};
  return {
      {"a position is stored twice, another nowhere", split, [](ModelShard& s) { s.kv_part = 0; }},
      {"the owners of positions are swapped for half the heads", deep,
       [](ModelShard& s) {
         if (s.heads.begin == 0) s.kv_part = 0;
       }},
      {"o_proj takes the other member's slice", split,
       [](ModelShard& s) { s.attention.begin ^= s.attention.size; }},
      {"a head group reads another's keys", split,
       [](ModelShard& s) { s.kv_heads.begin ^= s.kv_heads.size; }},
      {"the parts of the hidden dimension are exchanged", deep,
       [](ModelShard& s) { s.hidden.begin ^= s.hidden.size; }},
      {"FFN columns are held twice", deep, [](ModelShard& s) { s.ffn.begin = 0; }},
      {"vocabulary rows are off by one", split, [](ModelShard& s) {
         if (s.vocab.begin > 0) --s.vocab.begin;
       }}};
}

}  // namespace

TEST_CASE("storage: each position of each KV head lies on one rank, whatever the mode") {
  ModelConfig config = grid_config(8, 4, true);
  auto grids = all_grids(config);
  std::erase_if(grids, [&](const GridShape& g) { return g.head_groups() > config.num_kv_heads; });
  on_each_grid(grids, [&](const MpiGroup& group, const GridShape& grid) {
    CAPTURE(grid.str());
    TestModel model(config, DType::f32, kGridSeed, group, {grid, kGridPageSize, {}, {}});
    poison(model.kv(), config);
    int32_t length = 0, step = 0;
    for (int32_t rows : {37, 1, 9, 1, 1}) {
      model.forward(grid_prompt(rows, rows), length, grid.z > 1 && ++step % 2 == 0);
      length += rows;
    }
    int64_t mine = lines_written(model.kv(), config), all = 0, most = 0;
    for (int64_t n : group.all_gather(mine)) all += n, most = std::max(most, n);
    int64_t lines = 2 * config.num_layers * length * config.num_kv_heads;
    CHECK(all == lines);
    // No rank has more than its share, but for the page that is not yet full everywhere.
    int64_t a_page =
        2 * config.num_layers * kGridPageSize * config.num_kv_heads / grid.head_groups();
    if (config.num_kv_heads % grid.head_groups() == 0)
      CHECK(most <= lines / grid.num_ranks() + a_page);
  });
}

TEST_CASE("storage: pages shrink with the ranks that share positions") {
  ModelConfig config = grid_config(8, 2, true);
  auto tokens_of = [&](const GridShape& grid, size_t bytes) {
    ModelShard shard = shard_of(config, grid, {});
    size_t page = KvCache::page_bytes({config, shard, DType::f32}, kGridPageSize);
    return static_cast<int64_t>(bytes / page) * shard.positions(kGridPageSize).span();
  };
  size_t bytes = size_t{1} << 20;
  int64_t one = tokens_of({}, bytes);
  CHECK(tokens_of({.y = 2}, bytes) == 2 * one);
  CHECK(tokens_of({.y = 8, .heads = 2}, bytes) == 8 * one);
  CHECK(tokens_of({.x = 2, .y = 4, .heads = 1}, bytes) == 8 * one);
  CHECK(tokens_of({.y = 8}, bytes) == 2 * one);  // replicated: what c is good for
}

TEST_CASE("storage: mistakes in who holds what show in the logits") {
  ModelConfig config = grid_config(8, 4, true);
  TestModel one(config, DType::f32, kGridSeed, MpiGroup());
  Logits want = logits_after_steps(one);
  using Span = std::span<const float>;
  for (const Mistake& m : mistakes()) {
    on_each_grid({m.grid}, [&](const MpiGroup& group, const GridShape& grid) {
      CAPTURE(m.what);
      TestModel right(config, DType::f32, kGridSeed, group, {grid, kGridPageSize, {}, {}}),
          wrong(config, DType::f32, kGridSeed, group, {grid, kGridPageSize, {}, m.spoil});
      CHECK(relative_error(Span(logits_after_steps(right)), Span(want)) < 1e-5);
      CHECK(!(relative_error(Span(logits_after_steps(wrong)), Span(want)) < 1e-3));
    });
  }
}

TEST_CASE("storage: a rank of any grid allocates what its budget says") {
  ModelConfig config = grid_config(8, 4, true);
  std::vector<GridShape> grids{{.x = 2, .y = 2},         {.y = 4, .heads = 2},
                               {.y = 2, .z = 2},         {.y = 2, .z = 2, .heads = 2},
                               {.x = 2, .y = 1, .z = 2}, {.y = 4}};
  on_each_grid(grids, [&](const MpiGroup& group, const GridShape& shape) {
    CAPTURE(shape.str());
    RunnerOptions options{.max_num_seqs = 3,
                          .max_num_batched_tokens = 13,
                          .max_length = 50,
                          .num_pages = 7,
                          .page_size = kGridPageSize};
    Backend counted = CountingDevice::wrap(backend());
    ProcessGrid grid(counted, group, shape);
    ModelShard shard = shard_of(config, shape, grid.place());
    auto weights = random_weights(config, shard, DType::f32, backend(), stream(), 1);
    WeightPlacements placements = weight_placements(config, shard);
    size_t budget =
        ModelRunner::buffer_bytes(options, {config, shard, DType::f32}, shape.replica_size()) +
        GatheredWeights::bytes(placements, counted.ops.packed_bytes, DType::f32, shape.z,
                               shard.merged_share_heads()) +
        7 * KvCache::page_bytes({config, shard, DType::f32}, kGridPageSize);
    REQUIRE(CountingDevice::device_bytes() == 0);
    {
      ModelRunner runner(options, counted, grid, stream(), config, shard, std::move(weights));
      CHECK(CountingDevice::device_bytes() == budget);
    }
    CHECK(CountingDevice::device_bytes() == 0);
  });
}
