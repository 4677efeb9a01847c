#pragma once
// Many grids in one run of mpirun: the world is cut into groups of the size a grid needs, and each
// group takes another grid.
#include <functional>
#include <vector>

#include "model/shard/model_shard.h"
#include "tests/support/world.h"

namespace ll::test {

// Every legal way to place the model on `num_ranks` ranks.
inline std::vector<GridShape> legal_grids(const ModelConfig& config, int num_ranks) {
  std::vector<GridShape> grids;
  for (int x = 1; x <= num_ranks; ++x)
    for (int z = 1; z <= num_ranks / x; ++z)
      for (int heads = 1; heads <= num_ranks / x; ++heads) {
        if (num_ranks % (x * z) != 0) continue;
        GridShape grid{.x = x, .y = num_ranks / (x * z), .z = z, .heads = heads};
        if (grid.columns() % heads == 0 && !why_illegal(config, grid)) grids.push_back(grid);
      }
  return grids;
}

// Calls run(group, grid) for each grid, on as many ranks as it has; ranks without a part in it
// take another, or wait. Grids of the same size follow each other best.
inline void on_each_grid(const std::vector<GridShape>& grids,
                         const std::function<void(const MpiGroup&, const GridShape&)>& run) {
  const MpiGroup& world = mpi().world();
  for (int size = 1; size <= world.size(); ++size) {
    std::vector<GridShape> same;
    for (const GridShape& g : grids)
      if (g.num_ranks() == size) same.push_back(g);
    if (same.empty()) continue;
    int num_groups = world.size() / size, mine = world.rank() / size;
    MpiGroup group = world.split(mine, world.rank());
    if (mine < num_groups)
      for (size_t i = static_cast<size_t>(mine); i < same.size();
           i += static_cast<size_t>(num_groups))
        run(group, same[i]);
    world.barrier();
  }
}

}  // namespace ll::test
