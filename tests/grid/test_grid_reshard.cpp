// From grid to grid without the file: the shards are those the file would have given, and a drained
// engine goes on where it is.
#include "model/shard/reshard.h"

#include <cstring>

#include "parallel/make_communicator.h"
#include "tests/support/engine_oracle.h"
#include "tests/support/grid_models.h"

using namespace ll;
using namespace ll::test;

namespace {

// Byte by byte, padding of packed matrices included.
bool same_weights(const ModelConfig& config, const ModelShard& shard, DecoderWeights& a,
                  DecoderWeights& b) {
  bool same = a.lm_head.weight.rows == b.lm_head.weight.rows;
  for (const WeightPlacement& p : weight_placements(config, shard)) {
    auto data_of = [&](DecoderWeights& w) {
      const PackedWeight& weight = w.at(p.row->part, p.layer);
      return p.is_bias ? weight.bias.view() : weight.weight.data;
    };
    TensorView x = data_of(a), y = data_of(b);
    same &= x.bytes() == y.bytes() && std::memcmp(x.data, y.data, x.bytes()) == 0;
  }
  return same;
}

std::vector<std::pair<GridShape, GridShape>> moves() {
  return {{{.y = 4}, {.x = 2, .y = 2}},
          {{.x = 4}, {.y = 4, .heads = 2}},
          {{.y = 4, .heads = 1}, {.dp = 2, .y = 2}},
          {{.dp = 4}, {.y = 2, .z = 2}},
          {{.y = 3}, {.y = 3, .heads = 1}},
          {{.x = 2, .y = 4, .heads = 2}, {.y = 8}},
          {{.y = 8, .heads = 4}, {.x = 4, .y = 2}},
          {{.x = 2, .y = 2, .z = 4, .heads = 4}, {.x = 4, .y = 4, .heads = 2}}};
}

}  // namespace

TEST_CASE("reshard: the shards are those the file would give") {
  for (auto [heads, kv] : {std::pair<int64_t, int64_t>{8, 4}, {14, 2}, {12, 2}})
    for (DType dtype : {DType::f32, DType::bf16})
      for (auto [from, to] : moves()) {
        ModelConfig config = grid_config(heads, kv, heads == 8);
        if (why_illegal(config, from) || why_illegal(config, to)) continue;
        if (from.num_ranks() > mpi().world().size()) continue;
        on_each_grid({from}, [&, from = from, to = to](const MpiGroup& group, const GridShape&) {
          CAPTURE(from.str());
          CAPTURE(to.str());
          auto weights_on = [&](const GridShape& grid) {
            return random_weights(config, shard_of(config, grid, place_of(grid, group.rank())),
                                  dtype, backend(), stream(), kGridSeed);
          };
          auto comm = make_communicator(backend(), group);
          DecoderWeights got = reshard_weights(config, from, to, weights_on(from), backend(), *comm,
                                               stream()),
                         want = weights_on(to);
          CHECK(same_weights(config, shard_of(config, to, place_of(to, group.rank())), got, want));
        });
      }
}

TEST_CASE("reshard: a drained engine goes on on another grid") {
  EngineSetup setup{.config = grid_config(8, 4, true)};
  setup.page_size = kGridPageSize;
  Requests first{greedy_request(0, make_prompt(20, 1), 8)},
      second{greedy_request(1, make_prompt(33, 2), 8), greedy_request(2, make_prompt(4, 3), 9)};
  for (auto [from, to] : moves()) {
    if (from.dp * to.dp > 1 || from.num_ranks() > mpi().world().size()) continue;
    if (why_illegal(setup.config, from) || why_illegal(setup.config, to)) continue;
    on_each_grid({from}, [&, from = from, to = to](const MpiGroup& group, const GridShape&) {
      CAPTURE(from.str());
      CAPTURE(to.str());
      DecoderWeights weights;
      EngineSetup before = setup, after = setup;
      before.grid = from;
      after.grid = to;
      Outcome one = run_engine(before, group, first, {.when_drained = [&](ModelRunner& runner) {
                                 weights = runner.model().release_weights();
                               }});
      auto comm = make_communicator(backend(), group);
      Outcome two = run_engine(after, group, second, {.weights = [&](const ModelShard&) {
                                 return reshard_weights(setup.config, from, to, std::move(weights),
                                                        backend(), *comm, stream());
                               }});
      if (group.rank() > 0) return;
      CHECK(one.tokens() == alone(setup, first).tokens());
      CHECK(two.tokens() == alone(setup, second).tokens());
    });
  }
}
