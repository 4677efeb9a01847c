#include "runtime/engine/step_consensus.h"

#include <doctest/doctest.h>
#include <fmt/core.h>

#include "tests/support/errors.h"
#include "tests/support/world.h"

using namespace ll;
using namespace ll::test;

namespace {

struct Odd {
  int rank = -1, step = -1;
  int plan = 0, token = 0;  // what is added to them
};

// Steps of two tokens each, of which one rank has something else; what this rank then says.
std::string run(int num_steps, const Odd& odd) {
  return error_of([&] {
    StepConsensus consensus(world(), fmt::format("rank {}", world().rank()));
    for (int step = 1; step <= num_steps; ++step) {
      bool is_odd = odd.rank == world().rank() && odd.step == step;
      consensus.launched(step, 100 + step + (is_odd ? odd.plan : 0));
      // The others learn their tokens later than rank 0.
      size_t lag = world().rank() == 0 ? 1 : 3;
      while (consensus.num_open() > (step == num_steps ? 0 : lag)) {
        int at = consensus.oldest_open();
        bool is_odd_token = odd.rank == world().rank() && odd.step == at;
        consensus.drew(std::vector<int32_t>{at, 7 + (is_odd_token ? odd.token : 0)});
      }
    }
    consensus.flush();
  });
}

}  // namespace

TEST_CASE("step consensus: ranks that do the same agree") {
  for (int steps : {0, 1, 15, 16, 17, 32, 100}) CHECK(run(steps, {}).empty());
}

TEST_CASE("step consensus: who differs is named on all ranks, with the step") {
  if (world().size() == 1) return;
  int last = world().size() - 1;
  for (int step : {1, 16, 17, 40}) {
    CAPTURE(step);
    CHECK(contains(run(40, {.rank = last, .step = step, .token = 1}),
                   fmt::format("disagree on step {}: rank {} has drawn other tokens than rank 0",
                               step, last)));
    CHECK(contains(
        run(40, {.rank = last, .step = step, .plan = 1}),
        fmt::format("disagree on step {}: rank {} has another plan than rank 0", step, last)));
  }
  // The one that is alone with it, even if it is rank 0; of two nobody knows.
  int other = world().size() > 2 ? 0 : 1;
  CHECK(contains(run(20, {.rank = 0, .step = 3, .token = 1}),
                 fmt::format("step 3: rank {} has drawn other tokens", other)));
}
