#include "runtime/process/signals.h"

#include <doctest/doctest.h>

#include <atomic>
#include <csignal>
#include <thread>

#include "tests/support/wait_until.h"

using namespace ll;
using namespace ll::test;

namespace {

std::atomic<int> old_handler_calls = 0;

}  // namespace

TEST_CASE("signals: who asked is told, off the thread that was interrupted") {
  std::atomic<int> calls = 0;
  std::thread::id who;
  OnSignal on(SIGUSR2, [&] {
    who = std::this_thread::get_id();
    return ++calls > 0;
  });
  std::raise(SIGUSR2);
  CHECK(wait_until([&] { return calls == 1; }));
  CHECK(who != std::this_thread::get_id());
  std::raise(SIGUSR2);
  CHECK(wait_until([&] { return calls == 2; }));
}

TEST_CASE("signals: the newest is asked first, the older unless it has seen to it") {
  std::atomic<int> older = 0, newer = 0, other = 0;
  std::atomic<bool> sees_to_it = false;
  OnSignal first(SIGUSR2, [&] { return ++older > 0; });
  OnSignal elsewhere(SIGUSR1, [&] { return ++other > 0; });
  {
    OnSignal second(SIGUSR2, [&] {
      CHECK(older == newer);  // the older one is still to be asked
      ++newer;
      return sees_to_it.load();
    });
    std::raise(SIGUSR2);
    CHECK(wait_until([&] { return older == 1; }));
    CHECK(newer == 1);
    sees_to_it = true;
    std::raise(SIGUSR2);
    CHECK(wait_until([&] { return newer == 2; }));
  }
  std::raise(SIGUSR2);
  CHECK(wait_until([&] { return older == 2; }));
  CHECK(newer == 2);
  CHECK(other == 0);
}

TEST_CASE("signals: the last to go restores what was before") {
  auto before = std::signal(SIGUSR2, [](int) { ++old_handler_calls; });
  old_handler_calls = 0;
  std::atomic<int> calls = 0;
  for (int i = 0; i < 3; ++i) {
    OnSignal on(SIGUSR2, [&] { return ++calls > 0; });
    std::raise(SIGUSR2);
    CHECK(wait_until([&] { return calls == i + 1; }));
  }
  CHECK(old_handler_calls == 0);
  std::raise(SIGUSR2);
  CHECK(old_handler_calls == 1);
  CHECK(calls == 3);
  std::signal(SIGUSR2, before);
}

TEST_CASE("signals: one may be ignored when the last has gone") {
  auto before = std::signal(SIGUSR2, [](int) { ++old_handler_calls; });
  old_handler_calls = 0;
  std::atomic<int> calls = 0;
  {
    OnSignal on(SIGUSR2, [&] { return ++calls > 0; });
    OnSignal::ignore_afterwards(SIGUSR2);
    std::raise(SIGUSR2);
    CHECK(wait_until([&] { return calls == 1; }));
  }
  std::raise(SIGUSR2);
  CHECK(old_handler_calls == 0);
  bool is_ignored = std::signal(SIGUSR2, before) == SIG_IGN;
  CHECK(is_ignored);
}
