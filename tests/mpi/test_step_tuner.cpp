// Several ranks choose the products of the step that they do together.
#include "runtime/engine/step_tuner.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/support/rehearsal.h"
#include "tests/support/world.h"

using namespace ll;
using namespace ll::test;

namespace {

void tune(Rehearsal& r) {
  StepTuner tuner(r.backend(), stream(), mpi().world(), [&] { ++r.num_steps; });
  tuner.run();
  CHECK(r.num_open_graphs == 0);
  CHECK_FALSE(r.is_watching);
}

const std::string& chosen_name(const Rehearsal& r, size_t shape) {
  return r.ways[shape].at(static_cast<size_t>(r.chosen[shape].way));
}

float share(bool is_slower) { return is_slower ? 0.05f : 0.0f; }

}  // namespace

TEST_CASE("ranks choose the same ways, by the time of the one that has not waited") {
  int rank = mpi().world().rank();
  Rehearsal r;
  r.noise = 0.001f;
  r.seed = 1 + static_cast<uint32_t>(rank);
  // Other ways are the fastest alone on every rank; all name them alike.
  for (auto& names : r.ways) std::rotate(names.begin(), names.begin() + rank, names.end());
  r.cost = [&](const Rehearsal::Choices& c) {
    float time = 1000 * (1 + share(chosen_name(r, 0) != "4") + share(chosen_name(r, 1) != "0") +
                         share(chosen_name(r, 2) != "2") + share(!c[2].is_early));
    // Who waits for others would choose worse.
    return time + (rank > 0 ? 500 * share(chosen_name(r, 0) == "4") + 300 : 0);
  };
  tune(r);
  CHECK(chosen_name(r, 0) == "4");
  CHECK(chosen_name(r, 1) == "0");
  CHECK(chosen_name(r, 2) == "2");
  CHECK(r.chosen[2].is_early);
}

TEST_CASE("a rank without a way that others have takes its own fastest") {
  bool is_first = mpi().world().rank() == 0;
  Rehearsal r;
  if (!is_first) r.ways[1] = {"0", "1"};
  r.cost = [&](const Rehearsal::Choices& c) {
    return 1000 * (1 + (is_first ? share(c[1].way != 5) : 0.1f));
  };
  tune(r);
  CHECK(r.chosen[1].way == (is_first ? 5 : 0));
}

TEST_CASE("where the ranks' products differ, nothing is chosen") {
  if (mpi().world().size() == 1) return;
  Rehearsal r;
  if (mpi().world().rank() == 0) r.ways.pop_back();
  r.cost = [](const Rehearsal::Choices& c) { return 1000 * (1 + share(c[0].way != 3)); };
  tune(r);
  CHECK(r.num_runs == 0);
}
