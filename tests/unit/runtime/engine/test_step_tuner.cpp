#include "runtime/engine/step_tuner.h"

#include <doctest/doctest.h>

#include "tests/support/rehearsal.h"

using namespace ll;
using namespace ll::test;

namespace {

// Tunes the step; afterwards no graph is left.
void tune(Rehearsal& r, std::string* report = nullptr,
          StepTuner::Care care = StepTuner::Care::kOnce) {
  StepTuner tuner(r.backend(), stream(), MpiGroup(), [&] { ++r.num_steps; });
  tuner.run(care);
  if (report) *report = tuner.report();
  CHECK(r.num_open_graphs == 0);
  CHECK_FALSE(r.is_watching);
  CHECK_FALSE(r.is_capturing);
}

float share(bool is_slower) { return is_slower ? 0.05f : 0.0f; }

}  // namespace

TEST_CASE("a step's products are chosen by what the step takes") {
  Rehearsal r;
  r.noise = 0.001f;
  r.cost = [](const Rehearsal::Choices& c) {
    return 1000 * (1 + share(c[0].way != 4) + share(c[1].way != 0) + share(c[2].way != 2) +
                   share(c[1].is_early) + share(!c[2].is_early));
  };
  std::string report;
  tune(r, &report);
  CHECK(r.chosen[0].way == 4);
  CHECK(r.chosen[1].way == 0);
  CHECK_FALSE(r.chosen[1].is_early);
  CHECK(r.chosen[2].way == 2);
  CHECK(r.chosen[2].is_early);
  CHECK(report == "in a step shape 0: 4\nin a step shape 1: 0\nin a step shape 2: 2\n");
}

TEST_CASE(
    "a way that suits its neighbours only once these are chosen is found in the second round") {
  Rehearsal r;
  // The last shape is chosen first: 3 is the best for it next to the first's 0, and 5 next to 1.
  r.cost = [](const Rehearsal::Choices& c) {
    int best = c[0].way == 1 ? 5 : 3;
    bool is_good = c[2].way == 3 || c[2].way == 5;
    return 1000 * (1 + share(c[0].way != 1) + share(c[1].way != 2) + share(!is_good) +
                   0.5f * share(c[2].way != best));
  };
  tune(r);
  CHECK(r.chosen[0].way == 1);
  CHECK(r.chosen[1].way == 2);
  CHECK(r.chosen[2].way == 5);
}

TEST_CASE("with care ways are tried from the step's first shape on, too") {
  Rehearsal r;
  // 5 for the last shape is in the way of 1 for the first, which makes 3 for the last the best.
  r.cost = [](const Rehearsal::Choices& c) {
    bool is_first = c[0].way == 1;
    if (is_first && c[2].way == 3) return 900.0f;
    if (c[2].way == 5) return is_first ? 1010.0f : 960.0f;
    return is_first ? 970.0f : 1000.0f;
  };
  tune(r);
  CHECK(r.chosen[0].way == 0);
  CHECK(r.chosen[2].way == 5);
  tune(r, nullptr, StepTuner::Care::kFromBothEnds);
  CHECK(r.chosen[0].way == 1);
  CHECK(r.chosen[2].way == 3);
}

TEST_CASE("with care the faster of both ends is kept, be it the first") {
  Rehearsal r;
  r.cost = [](const Rehearsal::Choices& c) {
    bool is_last = c[2].way == 1;
    if (is_last && c[0].way == 3) return 900.0f;
    if (c[0].way == 5) return is_last ? 1010.0f : 960.0f;
    return is_last ? 970.0f : 1000.0f;
  };
  tune(r, nullptr, StepTuner::Care::kFromBothEnds);
  CHECK(r.chosen[0].way == 3);
  CHECK(r.chosen[2].way == 1);
}

TEST_CASE("kernels of a kind that are fast only together are found") {
  Rehearsal r;
  r.ways = std::vector(Rehearsal::kShapes,
                       std::vector<std::string>{"stream", "library0", "tile1", "tile4", "gate"});
  r.cost = [](const Rehearsal::Choices& c) {
    bool are_tiles = true;
    float time = 1000;
    for (const Rehearsal::Choice& choice : c) {
      are_tiles &= choice.way == 2 || choice.way == 3;
      time *= 1 + share(choice.way != 0);
    }
    return are_tiles ? 900 * (1 + share(c[1].way != 3)) : time;
  };
  tune(r);
  CHECK(r.chosen[0].way == 2);
  CHECK(r.chosen[1].way == 3);
  CHECK(r.chosen[2].way == 2);
}

TEST_CASE("what differs by less than runs do stays as it was") {
  Rehearsal r;
  r.noise = 0.001f;
  r.cost = [](const Rehearsal::Choices& c) {
    return 1000 * (1 - 0.001f * static_cast<float>(c[0].way == 3) -
                   0.001f * static_cast<float>(c[2].is_early));
  };
  tune(r);
  for (const auto& c : r.chosen) {
    CHECK(c.way == 0);
    CHECK_FALSE(c.is_early);
  }
}

TEST_CASE("shapes with one way take no time, and none at all one step") {
  Rehearsal r;
  r.cost = [](const Rehearsal::Choices&) { return 1000.0f; };
  r.ways = Rehearsal::same_ways(1);
  tune(r);
  CHECK(r.num_runs == 0);
  CHECK(r.num_steps == 1);
  r.ways = {};
  tune(r);
  CHECK(r.num_runs == 0);
}
