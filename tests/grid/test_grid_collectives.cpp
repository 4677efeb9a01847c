// What ranks say to each other: the same on all members of a communicator, and as much as the
// definition of the grid says (docs/parallel.md).
#include <doctest/doctest.h>

#include "base/numbers.h"
#include "tests/support/compare.h"
#include "tests/support/grid_models.h"
#include "tests/support/recording_communicator.h"

using namespace ll;
using namespace ll::test;

namespace {

// Bytes a rank sends in a step of `rows` rows, by the closed forms; sums go round a ring.
int64_t predicted_bytes(const ModelConfig& config, const GridShape& grid, const ModelShard& s,
                        int64_t rows, bool gathered) {
  auto sum = [](int64_t members, int64_t bytes) { return 2 * (members - 1) * bytes / members; };
  constexpr int64_t kSize = 4;
  int64_t z = gathered ? grid.z : 1, share = ceil_div(rows, z), y = grid.columns() / z;
  int64_t qkv = s.qkv_rows(config), slice = s.attention.size, e = s.hidden.size;
  bool shares_heads = s.merged_share_heads();
  int64_t qkv_columns = shares_heads ? 1 : z;

  int64_t layer = sum(grid.x, share * qkv_columns * qkv * kSize) + sum(grid.x, share * kSize);
  layer += sum(grid.x, share * z * 2 * s.ffn.size * kSize) + sum(grid.x, share * kSize);
  layer += 2 * sum(y, share * e * kSize);
  if (s.kv_parts > 1)
    layer += (s.kv_parts - 1) *
             static_cast<int64_t>(attention_parts(s, DType::f32, rows, nullptr).part_bytes());
  layer += (z - 1) * share * (qkv + slice) * kSize;
  if (z > 1)
    layer += (z - 1) * (e * slice + 3 * e * s.ffn.size + (shares_heads ? 0 : e * qkv)) * kSize;
  return config.num_layers * layer + sum(grid.replica_size(), rows * config.hidden_size * kSize) +
         sum(grid.x, share * kSize) + (z - 1) * share * e * kSize;
}

std::vector<GridShape> grids() {
  return {{.y = 4},
          {.x = 4},
          {.x = 2, .y = 2},
          {.y = 4, .heads = 2},
          {.y = 8, .heads = 2},
          {.x = 2, .y = 4, .heads = 2},
          {.x = 4, .y = 4, .heads = 4},
          {.y = 2, .z = 2},
          {.y = 1, .z = 4},
          {.y = 2, .z = 2, .heads = 2},
          {.y = 1, .z = 4, .heads = 2},
          {.x = 2, .y = 2, .z = 2},
          {.x = 2, .y = 2, .z = 4, .heads = 4},
          {.y = 4, .z = 4, .heads = 4}};
}

std::vector<GridShape> fitting_grids(const ModelConfig& config) {
  auto list = grids();
  std::erase_if(list, [&](const GridShape& g) {
    return g.num_ranks() > mpi().world().size() || why_illegal(config, g).has_value();
  });
  return list;
}

// Shapes whose packed weights hold nothing but weights.
ModelConfig whole_panels() {
  ModelConfig c = grid_config(16, 4, true);
  c.head_dim = 64;
  c.num_heads = 16;
  c.hidden_size = 1024;
  c.intermediate_size = 1024;
  c.vocab_size = 304;
  return c;
}

}  // namespace

TEST_CASE("collectives: the same sequence on all members, whatever the rows and the mode") {
  ModelConfig config = grid_config(8, 4, true);
  on_each_grid(fitting_grids(config), [&](const MpiGroup& group, const GridShape& grid) {
    CAPTURE(grid.str());
    Recorder recorder;
    TestModel model(config, DType::f32, kGridSeed, group,
                    {grid, kGridPageSize, recorder.maker(), {}});
    int32_t position = 0, step = 0;
    for (int32_t rows : {1, 2, 3, 7, 16, 33, 0, 1}) {
      bool gathered = grid.z > 1 && step++ % 2 == 0;
      model.forward(grid_prompt(rows, rows), position, gathered);
      position += rows;
    }
    for (int32_t rows : {0, 1, grid.z - 1})
      if (grid.z > 1) model.forward(grid_prompt(rows, rows), position, true);
    CHECK(recorder.is_same_everywhere());
    CHECK(recorder.bytes_sent() > 0);
  });
}

TEST_CASE("collectives: bytes sent are those of the closed forms") {
  ModelConfig config = whole_panels();
  on_each_grid(fitting_grids(config), [&](const MpiGroup& group, const GridShape& grid) {
    CAPTURE(grid.str());
    Recorder recorder;
    TestModel model(config, DType::f32, kGridSeed, group,
                    {grid, kGridPageSize, recorder.maker(), {}});
    for (bool gathered : {false, true}) {
      if (gathered && grid.z == 1) continue;
      constexpr int64_t kRows = 16;  // whole shares of any z
      recorder.clear();
      model.forward(grid_prompt(kRows, 1), 0, gathered);
      CHECK(recorder.bytes_sent() == predicted_bytes(config, grid, model.shard(), kRows, gathered));
    }
  });
}

TEST_CASE("collectives: one-dimensional grids make two sums a layer and no other exchange") {
  ModelConfig config = grid_config(8, 4, false);
  on_each_grid({{.y = 2}, {.y = 4}, {.y = 3}}, [&](const MpiGroup& group, const GridShape& grid) {
    Recorder recorder;
    TestModel model(config, DType::f32, kGridSeed, group,
                    {grid, kGridPageSize, recorder.maker(), {}});
    recorder.clear();
    model.forward(grid_prompt(5, 1), 0);
    size_t calls = 0;
    for (const auto& log : recorder.logs()) calls += log->calls.size();
    CHECK(calls == static_cast<size_t>(1 + 2 * config.num_layers));
  });
}
