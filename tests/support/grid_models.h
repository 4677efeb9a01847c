#pragma once
// Models that many grids can run, and what they are fed.
#include <algorithm>
#include <vector>

#include "tests/support/grids.h"
#include "tests/support/test_model.h"
#include "tests/support/tiny_config.h"

namespace ll::test {

constexpr int kGridPageSize = 4;  // so that short prompts lie on many ranks
constexpr uint64_t kGridSeed = 11;

// With `even_ffn` the FFN goes into equal shards on up to 16 columns, so that weights can be
// gathered; else it is uneven nearly everywhere.
inline ModelConfig grid_config(int64_t heads, int64_t kv_heads, bool even_ffn) {
  ModelConfig c = tiny_config(heads, kv_heads, heads % 4 == 0);
  c.head_dim = 8;
  c.hidden_size = heads * c.head_dim;
  if (even_ffn) c.intermediate_size = 256;
  return c;
}

inline std::vector<int32_t> grid_prompt(int32_t length, int32_t seed) {
  std::vector<int32_t> ids;
  for (int32_t i = 0; i < length; ++i) ids.push_back((i * i * 7 + i * 13 + seed) % 301);
  return ids;
}

inline std::vector<GridShape> all_grids(const ModelConfig& config) {
  std::vector<GridShape> grids;
  for (int n = 1; n <= mpi().world().size(); ++n)
    for (const GridShape& g : legal_grids(config, n)) grids.push_back(g);
  return grids;
}

}  // namespace ll::test
