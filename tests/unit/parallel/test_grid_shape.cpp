#include "parallel/grid_shape.h"

#include <doctest/doctest.h>

#include <set>
#include <tuple>

#include "tests/support/errors.h"

using namespace ll;
using namespace ll::test;

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

TEST_CASE("a list of shapes, and what is wrong with one") {
  CHECK(parse_grids("y=2") == std::vector<GridShape>{{.y = 2}});
  CHECK(
      parse_grids("y=4;x=2,y=2;y=2,z=2,heads=1;dp=4") ==
      std::vector<GridShape>{{.y = 4}, {.x = 2, .y = 2}, {.y = 2, .z = 2, .heads = 1}, {.dp = 4}});
  for (const char* bad : {"", ";", "y", "y=", "=2", "w=2", "y=2,", "y=0", "y=-1", "y=2a", "y=9999",
                          "y=2;;x=2", "y=99999999999999999999"}) {
    CAPTURE(bad);
    CHECK(contains(error_of([&] { parse_grids(bad); }), "is not an extent of a grid"));
  }
  CHECK(error_of([] { parse_grids("y=2;dp=3"); }) ==
        "'dp=3' has 3 ranks, 'y=2' has 2; all need the same number");
}
