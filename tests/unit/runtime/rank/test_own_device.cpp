#include "runtime/rank/own_device.h"

#include <doctest/doctest.h>

#include <vector>

using namespace ll;

TEST_CASE("ranks and devices: the first two that have the same") {
  auto pair = [](const std::vector<int64_t>& devices) { return ranks_of_one_device(devices); };
  CHECK(!pair({}));
  CHECK(!pair({7, 8, 9}));
  CHECK(!pair({0, 0, 0}));
  auto shared = pair({7, 0, 8, 0, 9, 8, 7});
  REQUIRE(shared);
  CHECK(shared->first == 2);
  CHECK(shared->second == 5);
}
