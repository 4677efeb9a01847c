#pragma once
// The extents of the process grid and a rank's place in it.
//
//   world = dp * Y * x,  Y = y * z = heads * c          rank = (d * Y + J) * x + i
//
// x splits the hidden dimension, y is Megatron tensor parallelism over heads and FFN columns, z
// splits a step's tokens and gathers weights over merged columns J, c splits the KV positions of
// one head group, dp replicas share rank 0's queue.
#include <string>
#include <string_view>
#include <vector>

namespace ll {

struct GridShape {
  int dp = 1, x = 1, y = 1, z = 1;
  int heads = 0;  // head groups; 0: one a column (c = 1)

  int columns() const { return y * z; }  // Y
  int head_groups() const { return heads > 0 ? heads : columns(); }
  int context() const { return columns() / head_groups(); }  // c
  int kv_parts() const { return x * context(); }             // ranks that share a head group's KV
  int replica_size() const { return columns() * x; }
  int num_ranks() const { return dp * replica_size(); }
  std::string str() const;  // "dp 1 x 1 y 2 z 1"
  bool operator==(const GridShape&) const = default;
};

struct GridPlace {
  int d = 0;  // replica
  int j = 0;  // column J in [0, Y)
  int i = 0;  // part of the hidden dimension
};

GridPlace place_of(const GridShape& shape, int rank);

// "y=2;x=2;y=2,heads=1;dp=2": grids of as many ranks each, what is not named being 1. Throws Error
// (usage).
std::vector<GridShape> parse_grids(std::string_view text);

}  // namespace ll
