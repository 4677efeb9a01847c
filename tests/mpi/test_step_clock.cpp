#include "runtime/engine/step_clock.h"

#include <doctest/doctest.h>

#include "tests/support/rehearsal.h"

using namespace ll;
using namespace ll::test;

TEST_CASE("steps are compared by what their graphs take") {
  Rehearsal r;
  float now = 0;
  r.cost = [&](const Rehearsal::Choices&) { return now; };
  r.noise = 0.02f;
  StepClock clock(r.backend(), stream(), MpiGroup());
  auto taking = [&](float us) { return [&now, us] { now = us; }; };
  CHECK(clock.is_faster(taking(900), taking(1000)));
  CHECK(!clock.is_faster(taking(1000), taking(900)));
  CHECK(!clock.is_faster(taking(900), taking(1000), /*share=*/0.8f));
  CHECK(clock.microseconds(taking(500), 3) == doctest::Approx(505).epsilon(0.02));
  CHECK(r.num_open_graphs == 0);
  int runs = r.num_runs;
  clock.microseconds(taking(500), /*num_runs=*/10, /*hopeless=*/100);
  CHECK(r.num_runs == runs + 2);
}
