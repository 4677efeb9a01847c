#include "parallel/mpi/silent_pairs.h"

#include <doctest/doctest.h>

#include "tests/support/world.h"

using namespace ll;
using namespace ll::test;
using namespace std::chrono_literals;

TEST_CASE("silent pairs: where all speak, all are heard") {
  CHECK(silent_members(mpi().world(), 60s).empty());
}

TEST_CASE("silent pairs: who does not speak is named, and nobody else") {
  const MpiGroup& world = mpi().world();
  if (world.size() == 1) return;
  int mute = world.size() - 1;
  MpiGroup all = world.split(0, world.rank());
  if (world.rank() != mute) CHECK(silent_members(all, 1s) == std::vector<int>{mute});
  world.barrier();
  // What the others sent is still under way: the mute one takes it, and is heard at last.
  if (world.rank() == mute) CHECK(silent_members(all, 60s).empty());
  world.barrier();
}
