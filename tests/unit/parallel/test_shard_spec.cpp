#include "parallel/shard_spec.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "base/check.h"
#include "base/numbers.h"

using namespace ll;

namespace {

std::vector<Range> all_parts(int64_t extent, int64_t parts, int64_t unit) {
  std::vector<Range> ranges;
  for (int64_t i = 0; i < parts; ++i) ranges.push_back(split(extent, parts, i, unit));
  return ranges;
}

int64_t num_units(Range r, int64_t unit) { return ceil_div(r.size, unit); }

// What the header promises of every split.
void check_split(int64_t extent, int64_t parts, int64_t unit) {
  CAPTURE(extent);
  CAPTURE(parts);
  CAPTURE(unit);
  auto ranges = all_parts(extent, parts, unit);
  int64_t next = 0, most = num_units(ranges.front(), unit);
  for (const Range& r : ranges) {
    REQUIRE(r.begin == next);
    REQUIRE(r.size >= 0);
    REQUIRE((r.begin % unit == 0 || r.begin == extent));
    REQUIRE(num_units(r, unit) <= most);  // larger ones first
    REQUIRE(num_units(r, unit) + 1 >= num_units(ranges.front(), unit));
    most = num_units(r, unit);
    next = r.end();
  }
  REQUIRE(next == extent);
}

}  // namespace

TEST_CASE("the parts of any extent tile it once, in order, cut at units, almost equal") {
  for (int64_t extent = 0; extent <= 40; ++extent)
    for (int64_t parts = 1; parts <= 12; ++parts)
      for (int64_t unit = 1; unit <= 9; ++unit) check_split(extent, parts, unit);
  std::mt19937_64 rng(1);
  for (int i = 0; i < 2000; ++i)
    check_split(static_cast<int64_t>(rng() % 1'000'000'000'000),
                static_cast<int64_t>(1 + rng() % 64), static_cast<int64_t>(1 + rng() % 4096));
}

TEST_CASE("known splits") {
  CHECK(all_parts(10, 4, 1) == std::vector<Range>{{0, 3}, {3, 3}, {6, 2}, {8, 2}});
  CHECK(all_parts(14, 2, 1) == std::vector<Range>{{0, 7}, {7, 7}});
  // Three units of 8, the last one short: it is the last part that gets it.
  CHECK(all_parts(20, 2, 8) == std::vector<Range>{{0, 16}, {16, 4}});
  CHECK(all_parts(20, 3, 8) == std::vector<Range>{{0, 8}, {8, 8}, {16, 4}});
}

TEST_CASE("more parts than units leave the last ones empty, at the end") {
  CHECK(all_parts(3, 5, 1) == std::vector<Range>{{0, 1}, {1, 1}, {2, 1}, {3, 0}, {3, 0}});
  CHECK(all_parts(20, 5, 8) == std::vector<Range>{{0, 8}, {8, 8}, {16, 4}, {20, 0}, {20, 0}});
  CHECK(all_parts(0, 3, 4) == std::vector<Range>{{0, 0}, {0, 0}, {0, 0}});
}

TEST_CASE("a part contains what lies in it") {
  Range r{4, 3};
  CHECK(r.end() == 7);
  CHECK(!r.contains(3));
  CHECK(r.contains(4));
  CHECK(r.contains(6));
  CHECK(!r.contains(7));
  CHECK(!Range{4, 0}.contains(4));
}

TEST_CASE("arguments that make no sense are refused") {
  CHECK_THROWS_AS(split(-1, 2, 0), Error);
  CHECK_THROWS_AS(split(8, 0, 0), Error);
  CHECK_THROWS_AS(split(8, 2, 2), Error);
  CHECK_THROWS_AS(split(8, 2, -1), Error);
  CHECK_THROWS_AS(split(8, 2, 0, 0), Error);
}
