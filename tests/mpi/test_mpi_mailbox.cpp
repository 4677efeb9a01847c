#include "parallel/mpi/mpi_mailbox.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <chrono>
#include <optional>
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

// Rank 1 calls MPI again only when a file shows that rank 0 has the message.
TEST_CASE("mailbox: a message arrives while its sender is busy with other things") {
  if (mpi().world().size() < 2) return;
  Mailbox box(mpi().world());
  std::string path = mpi().world().broadcast_text(
      box.rank() == 0 ? fmt::format("/tmp/litelang-mailbox-{}", ::getpid()) : "", 0);
  std::string text(20'000, 'x');  // longer than MPI sends unasked
  if (box.rank() == 1) {
    box.post(0, text);
    auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (::access(path.c_str(), F_OK) != 0 && std::chrono::steady_clock::now() < end)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    CHECK(::access(path.c_str(), F_OK) == 0);
  } else if (box.rank() == 0) {
    std::optional<Mailbox::Message> m;
    while (!(m = box.poll())) std::this_thread::yield();
    CHECK(m->text == text);
    ::close(::creat(path.c_str(), 0600));
  }
  mpi().world().barrier();
  if (box.rank() == 0) ::unlink(path.c_str());
}
