#include "parallel/mpi/mpi_group.h"

#include <doctest/doctest.h>

#include <chrono>
#include <numeric>
#include <thread>

#include "tests/support/errors.h"
#include "tests/support/world.h"

using namespace ll;
using namespace ll::test;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

// The last rank comes late; the others wait for it asleep.
void come_late(std::chrono::milliseconds delay) {
  if (world().rank() == world().size() - 1) std::this_thread::sleep_for(delay);
}

}  // namespace

TEST_CASE("group: the world, and where its ranks are") {
  CHECK(world().rank() >= 0);
  CHECK(world().rank() < world().size());
  std::vector<int64_t> ranks = world().all_gather(world().rank());
  for (size_t r = 0; r < ranks.size(); ++r) CHECK(ranks[r] == static_cast<int64_t>(r));
  CHECK(mpi().local_size() == world().size());  // these tests run on one host
  CHECK(mpi().local_rank() == world().rank());
  CHECK(!MpiEnvironment::host_name().empty());
}

TEST_CASE("group: broadcasts of any size, from any root") {
  for (size_t bytes : {size_t{0}, size_t{1}, size_t{4096}, size_t{5'000'003}})
    for (int root = 0; root < world().size(); ++root) {
      std::vector<uint8_t> data(bytes, static_cast<uint8_t>(200 + world().rank()));
      if (world().rank() == root)
        for (size_t i = 0; i < bytes; ++i) data[i] = static_cast<uint8_t>(i * 7 + bytes);
      world().broadcast(data.data(), bytes, root);
      size_t wrong = 0;
      for (size_t i = 0; i < bytes; ++i) wrong += data[i] != static_cast<uint8_t>(i * 7 + bytes);
      CHECK(wrong == 0);
    }
}

TEST_CASE("group: texts, empty and long") {
  for (const std::string& text :
       {std::string(), std::string("naïve\0text", 11), std::string(3'000'000, 'x')})
    for (int root = 0; root < world().size(); ++root) {
      std::string mine = world().rank() == root ? text : "something else";
      CHECK(world().broadcast_text(mine, root) == text);
    }
}

TEST_CASE("group: the least and the largest") {
  int64_t rank = world().rank(), last = world().size() - 1;
  CHECK(world().min(10 - rank) == 10 - last);
  CHECK(world().max(10 - rank) == 10);
  CHECK(world().min(-(int64_t{1} << 40) * rank) == -(int64_t{1} << 40) * last);
  CHECK(world().max(INT64_MIN) == INT64_MIN);
}

TEST_CASE("group: parts of it, in the order of their keys") {
  int rank = world().rank(), size = world().size();
  MpiGroup halves = world().split(rank % 2, -rank);
  CHECK(halves.size() == (size + (rank % 2 == 0)) / 2);
  auto members = halves.all_gather(rank);
  CHECK(members[static_cast<size_t>(halves.rank())] == rank);
  for (size_t i = 0; i < members.size(); ++i) {
    CHECK(members[i] % 2 == rank % 2);
    if (i > 0) CHECK(members[i] < members[i - 1]);
  }
  // Parts of a part, and the whole still works.
  MpiGroup alone = halves.split(halves.rank(), 0);
  CHECK(alone.size() == 1);
  CHECK(alone.max(rank) == rank);
  CHECK(world().max(rank) == size - 1);
}

TEST_CASE("group: of one process, without MPI's help") {
  MpiGroup self;
  CHECK(self.rank() == 0);
  CHECK(self.size() == 1);
  int value = 5;
  self.broadcast(&value, sizeof value, 0);
  self.barrier();
  CHECK(value == 5);
  CHECK(self.min(7) == 7);
  CHECK(self.all_gather(3) == std::vector<int64_t>{3});
  CHECK(self.broadcast_text("text", 0) == "text");
  CHECK(self.split(0, 0).size() == 1);
  CHECK(self.same_host().size() == 1);
}

TEST_CASE("group: nobody passes a barrier before the last one comes") {
  world().barrier();
  auto start = Clock::now();
  come_late(80ms);
  world().barrier();
  auto waited = Clock::now() - start;
  CHECK((world().size() == 1 || waited >= 75ms));
  CHECK(waited < 5s);
}

TEST_CASE("group: who waits for a late rank does not burn its processor") {
  world().barrier();
  std::clock_t before = std::clock();
  come_late(400ms);
  world().barrier();
  double seconds = static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
  CHECK(seconds < 0.2);
}
