#include "runtime/replicas/life_signs.h"

#include <doctest/doctest.h>

using namespace ll;
using namespace std::chrono_literals;

namespace {

const LifeSigns::Clock::time_point kStart{};

// Time goes on in steps of a tenth of a second.
struct Watch {
  LifeSigns signs;
  LifeSigns::Clock::time_point now = kStart;

  explicit Watch(std::chrono::seconds patience, int replicas = 3)
      : signs(replicas, patience, kStart) {}
  void pass(LifeSigns::Clock::duration time, LifeSigns::Clock::duration step = 100ms) {
    for (auto end = now + time; now < end;) signs.tick(now += step);
  }
};

}  // namespace

TEST_CASE("signs of life: one that holds work and is silent is missed, whoever else speaks") {
  Watch watch(4s);
  watch.signs.holds_work(1, true);
  watch.signs.holds_work(2, true);
  for (int i = 0; i < 39; ++i) {
    watch.pass(100ms);
    watch.signs.heard(2);
    CHECK(watch.signs.missing() == -1);
  }
  watch.pass(200ms);
  CHECK(watch.signs.missing() == 1);
  watch.signs.heard(1);
  CHECK(watch.signs.missing() == -1);
}

TEST_CASE("signs of life: who has nothing to do may be silent, and its time begins with its work") {
  Watch watch(4s);
  watch.pass(60s);
  CHECK(watch.signs.missing() == -1);
  watch.signs.holds_work(1, true);
  watch.pass(3s);
  watch.signs.holds_work(1, true);  // still
  CHECK(watch.signs.missing() == -1);
  watch.pass(1100ms);
  CHECK(watch.signs.missing() == 1);
  watch.signs.holds_work(1, false);
  CHECK(watch.signs.missing() == -1);
}

TEST_CASE("signs of life: a pause of who listens counts little, silence over many looks does") {
  Watch watch(4s);
  watch.signs.holds_work(1, true);
  watch.pass(1000s, 1000s);  // the whole job was suspended
  CHECK(watch.signs.missing() == -1);
  watch.signs.heard(1);
  watch.pass(9s, 3s);  // long steps: three looks are not enough, five are
  CHECK(watch.signs.missing() == -1);
  watch.pass(6s, 3s);
  CHECK(watch.signs.missing() == 1);
}

TEST_CASE("signs of life: without patience nobody is missed") {
  Watch watch(0s);
  watch.signs.holds_work(1, true);
  watch.pass(100s, 1s);
  CHECK(watch.signs.missing() == -1);
}
