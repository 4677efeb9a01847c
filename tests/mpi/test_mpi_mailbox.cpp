#include "parallel/mpi/mpi_mailbox.h"

#include <doctest/doctest.h>
#include <fmt/core.h>

#include <thread>

#include "tests/support/world.h"

using namespace ll;
using namespace ll::test;

TEST_CASE("mailbox: everybody writes to everybody, in order") {
  Mailbox box(mpi().world());
  constexpr int kMessages = 50;
  for (int i = 0; i < kMessages; ++i)
    for (int to = 0; to < box.size(); ++to)
      if (to != box.rank())  // short ones, and some longer than MPI sends unasked
        box.post(to, fmt::format("{}{:x<{}}", i, "", i % 10 == 9 ? 100'000 : 0));
  std::vector<int> received(static_cast<size_t>(box.size()));
  for (int left = kMessages * (box.size() - 1); left > 0;) {
    auto m = box.poll();
    if (!m) {
      std::this_thread::yield();
      continue;
    }
    int& expected = received[static_cast<size_t>(m->from)];
    CHECK(std::stoi(m->text) == expected);
    CHECK(m->text.size() == std::to_string(expected).size() + (expected % 10 == 9 ? 100'000 : 0));
    ++expected;
    --left;
  }
  CHECK(!box.poll());
}

TEST_CASE("mailbox: an empty message, and none") {
  Mailbox box(mpi().world());
  CHECK(!box.poll());
  mpi().world().barrier();
  if (box.size() == 1) return;
  if (box.rank() == 1) box.post(0, "");
  if (box.rank() == 0) {
    std::optional<Mailbox::Message> m;
    while (!m) m = box.poll();
    CHECK(m->from == 1);
    CHECK(m->text.empty());
  }
}
