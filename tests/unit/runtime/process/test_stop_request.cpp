#include "runtime/process/stop_request.h"

#include <doctest/doctest.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "parallel/mpi/starter.h"
#include "tests/support/wait_until.h"

using namespace ll;
using namespace ll::test;

TEST_CASE("a stop is asked for by SIGUSR1, and by SIGTERM once steps have begun") {
  Peers nobody;
  {
    StopRequest stop(nobody);
    CHECK(stop.signal() == 0);
    std::raise(SIGUSR1);
    CHECK(wait_until([&] { return stop.signal() == SIGUSR1; }));
  }
  std::atomic<int> older = 0;
  OnSignal before(SIGTERM, [&] { return ++older > 0; });
  StopRequest stop(nobody);
  std::raise(SIGTERM);
  CHECK(wait_until([&] { return older == 1; }));
  CHECK(stop.signal() == 0);
  stop.begin();
  std::raise(SIGTERM);
  CHECK(wait_until([&] { return stop.signal() == SIGTERM; }));
  std::raise(SIGUSR1);  // the first order stands
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  CHECK(stop.signal() == SIGTERM);
  CHECK(older == 1);
}

TEST_CASE("who sent a signal") {
  OnSignal on(SIGUSR2, [] { return true; });
  std::raise(SIGUSR2);
  CHECK(wait_until([] { return OnSignal::sender_of(SIGUSR2) == getpid(); }));
  CHECK_FALSE(is_started_by_mpirun());
}
