// Every legal grid up to the size of the world against one rank: the same logits.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>

#include "tests/support/compare.h"
#include "tests/support/grid_models.h"

using namespace ll;
using namespace ll::test;

namespace {

using Span = std::span<const float>;

// A prompt, its continuation in a chunk, and tokens one by one; shorter than, and as long as, what
// some ranks have to do.
struct Feed {
  std::vector<int32_t> tokens;
  int32_t first;
};
std::vector<Feed> feeds() {
  return {{grid_prompt(37, 1), 0},
          {grid_prompt(5, 99), 37},
          {grid_prompt(1, 7), 42},
          {grid_prompt(1, 8), 43},
          {grid_prompt(3, 9), 44}};
}

// One rank's logits, in the order of feeds(); computed once a model.
const std::vector<std::vector<float>>& logits_of_one(const ModelConfig& config, DType dtype) {
  static std::map<std::tuple<int64_t, int64_t, int64_t, DType>, std::vector<std::vector<float>>>
      known;
  auto& list = known[{config.num_heads, config.num_kv_heads, config.intermediate_size, dtype}];
  if (!list.empty()) return list;
  TestModel one(config, dtype, kGridSeed, MpiGroup());
  for (const Feed& f : feeds()) list.push_back(one.logits(one.forward(f.tokens, f.first)));
  return list;
}

// Rows' largest logits, where no other is as near as rounding can bring it.
bool same_choice(Span got, Span want, int64_t vocab) {
  for (size_t row = 0; row < got.size(); row += static_cast<size_t>(vocab)) {
    auto best = [&](Span x) {
      auto begin = x.begin() + static_cast<std::ptrdiff_t>(row);
      return std::max_element(begin, begin + vocab) - begin;
    };
    if (best(got) != best(want)) return false;
  }
  return true;
}

// `is_gathered(i)`: the mode of feed i.
template <class Mode>
void check_grid(const ModelConfig& config, DType dtype, const MpiGroup& group,
                const GridShape& grid, const Mode& is_gathered) {
  CAPTURE(config.num_heads);
  CAPTURE(config.num_kv_heads);
  CAPTURE(grid.str());
  const auto& want = logits_of_one(config, dtype);
  TestModel all(config, dtype, kGridSeed, group, {grid, kGridPageSize, {}});
  double tolerated = dtype == DType::f32 ? 1e-5 : tolerance(dtype).logits;
  auto list = feeds();
  for (size_t i = 0; i < list.size(); ++i) {
    CAPTURE(i);
    auto got = all.logits(all.forward(list[i].tokens, list[i].first, is_gathered(i)));
    CHECK(relative_error(Span(got), Span(want[i])) < tolerated);
    if (dtype == DType::f32) CHECK(same_choice(got, want[i], config.vocab_size));
  }
}

}  // namespace

TEST_CASE("grid: every legal one gives one rank's logits") {
  for (auto [heads, kv, even] : {std::tuple<int64_t, int64_t, bool>{8, 4, true},
                                 {8, 2, true},
                                 {14, 2, false},
                                 {12, 2, false},
                                 {28, 4, true}}) {
    ModelConfig config = grid_config(heads, kv, even);
    auto grids = all_grids(config);
    CHECK(grids.size() > static_cast<size_t>(mpi().world().size()));
    on_each_grid(grids, [&](const MpiGroup& group, const GridShape& grid) {
      check_grid(config, DType::f32, group, grid, [](size_t) { return false; });
    });
  }
}

TEST_CASE("grid: in gathered mode, and with a mode drawn for each step") {
  for (auto [heads, kv] : {std::pair<int64_t, int64_t>{8, 4}, {8, 2}, {12, 2}}) {
    ModelConfig config = grid_config(heads, kv, true);
    auto grids = all_grids(config);
    std::erase_if(grids, [](const GridShape& g) { return g.z == 1; });
    on_each_grid(grids, [&](const MpiGroup& group, const GridShape& grid) {
      check_grid(config, DType::f32, group, grid, [](size_t) { return true; });
      check_grid(config, DType::f32, group, grid, [](size_t i) { return i * 7 % 3 == 1; });
    });
  }
}

TEST_CASE("grid: bfloat16") {
  ModelConfig config = grid_config(8, 2, true);
  std::vector<GridShape> grids{{.x = 2, .y = 2},
                               {.y = 8, .heads = 2},
                               {.x = 2, .y = 4, .heads = 2},
                               {.x = 4, .y = 4, .heads = 1},
                               {.y = 2, .z = 2}};
  on_each_grid(grids, [&](const MpiGroup& group, const GridShape& grid) {
    check_grid(config, DType::bf16, group, grid, [&](size_t) { return grid.z > 1; });
  });
}
