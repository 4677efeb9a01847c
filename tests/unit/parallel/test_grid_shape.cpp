#include "parallel/grid_shape.h"

#include <doctest/doctest.h>

#include <set>
#include <tuple>

using namespace ll;

TEST_CASE("each rank has its own place, numbered replica by replica, column by column") {
  for (int dp : {1, 2, 3})
    for (int x : {1, 2, 4})
      for (int y : {1, 2, 3})
        for (int z : {1, 2}) {
          GridShape shape{.dp = dp, .x = x, .y = y, .z = z};
          CAPTURE(shape.str());
          CHECK(shape.columns() == y * z);
          CHECK(shape.replica_size() == x * y * z);
          CHECK(shape.num_ranks() == dp * x * y * z);
          std::set<std::tuple<int, int, int>> places;
          for (int rank = 0; rank < shape.num_ranks(); ++rank) {
            GridPlace p = place_of(shape, rank);
            CHECK((p.d >= 0 && p.d < dp));
            CHECK((p.j >= 0 && p.j < shape.columns()));
            CHECK((p.i >= 0 && p.i < x));
            CHECK((p.d * shape.columns() + p.j) * x + p.i == rank);
            places.insert({p.d, p.j, p.i});
          }
          CHECK(places.size() == static_cast<size_t>(shape.num_ranks()));
        }
}

TEST_CASE("a shape in words") {
  CHECK(GridShape{}.str() == "dp 1 x 1 y 1 z 1");
  CHECK(GridShape{.dp = 2, .x = 1, .y = 4, .z = 1, .heads = 2}.str() == "dp 2 x 1 y 4 z 1 heads 2");
}
