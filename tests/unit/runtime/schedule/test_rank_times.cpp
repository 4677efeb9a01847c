#include "runtime/schedule/rank_times.h"

#include <doctest/doctest.h>

using namespace ll;

TEST_CASE("rank times: who takes the least time began last, and all others waited for it") {
  GroupTimes times;
  times.add(std::vector<StepTime>{{3, 1}, {2.5f, 0.5f}, {2, 0.25f}});
  times.add(std::vector<StepTime>{{1, 0}, {1, 0}, {4, 2}});
  REQUIRE(times.ranks.size() == 3);
  CHECK(times.steps == 2);
  CHECK(times.skew_seconds == 1 + 3);
  CHECK(times.ranks[0].seconds == 4);
  CHECK(times.ranks[0].wait_seconds == 1);
  CHECK(times.ranks[1].wait_seconds == 0.5);
  CHECK(times.ranks[2].wait_seconds == 3);
  CHECK(times.ranks[2].collective_seconds == 2.25);
  for (const RankTimes& r : times.ranks) CHECK(r.steps == 2);
}

TEST_CASE("rank times: a step that not all have measured does not count") {
  GroupTimes times;
  times.add({});
  times.add(std::vector<StepTime>{{3, 1}, {0, 0}});
  CHECK(times.steps == 0);
  CHECK(times.skew_seconds == 0);
}

TEST_CASE("rank times: replicas follow each other") {
  GroupTimes first, second;
  first.add(std::vector<StepTime>{{1, 0}, {2, 0}});
  second.add(std::vector<StepTime>{{5, 0}, {4, 0}});
  second.add(std::vector<StepTime>{{5, 0}, {5, 0}});
  first.append(second);
  REQUIRE(first.ranks.size() == 4);
  CHECK(first.ranks[1].steps == 1);
  CHECK(first.ranks[2].seconds == 10);
  CHECK(first.steps == 3);
  CHECK(first.skew_seconds == 2);
}
