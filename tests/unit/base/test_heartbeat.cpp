#include "base/heartbeat.h"

#include <doctest/doctest.h>

using namespace ll;
using namespace std::chrono_literals;

namespace {

// Looks once a second of a time that the test makes up.
struct Watched {
  Heartbeat::Clock::time_point now{};
  Heartbeat heart;

  explicit Watched(std::chrono::seconds limit) : heart(limit, 1s, now) {}
  // The second in which silence became too long; -1: not within `seconds`.
  int look(int seconds) {
    for (int i = 1; i <= seconds; ++i) {
      now += 1s;
      if (heart.is_silent(now)) return i;
    }
    return -1;
  }
};

}  // namespace

TEST_CASE("heartbeat: silence counts from the last beat") {
  Watched w(10s);
  CHECK(w.look(10) == -1);
  CHECK(w.look(10) == 1);
  w.heart.beat(w.now);
  CHECK(w.look(20) == 11);
}

TEST_CASE("heartbeat: no limit, no silence") {
  Watched w(0s);
  CHECK(w.look(1000) == -1);
}

TEST_CASE("heartbeat: the clock starts again when who looks was stopped, too") {
  Watched w(10s);
  CHECK(w.look(8) == -1);
  w.now += 100s;
  CHECK(!w.heart.is_silent(w.now));
  CHECK(w.look(20) == 11);
}

TEST_CASE("heartbeat: a look that is a little late changes nothing") {
  Watched w(10s);
  CHECK(w.look(8) == -1);
  w.now += 2900ms;
  CHECK(w.heart.is_silent(w.now));
}
