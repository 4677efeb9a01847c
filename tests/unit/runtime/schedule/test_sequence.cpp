#include <doctest/doctest.h>

#include "runtime/schedule/sequence.h"

using namespace ll;

TEST_CASE("a temperature whose inverse would overflow is greedy") {
  for (auto [asked, taken] : {std::pair{0.0f, 0.0f},
                              {1e-40f, 0.0f},
                              {9e-6f, 0.0f},
                              {kGreedyTemperature, kGreedyTemperature},
                              {0.7f, 0.7f}}) {
    auto request = std::make_shared<Request>();
    request->prompt = {1};
    request->params.temperature = asked;
    CHECK(Sequence(request, 0).slot_sampling().temperature == taken);
  }
}

TEST_CASE("bad words are forbidden behind what came last, known or in flight") {
  auto request = std::make_shared<Request>();
  request->prompt = {1, 2};
  request->params.bad_words = {{1, 2}, {5, 6}, {4, 5, 6}, {9, 4, 5, 7}};
  Sequence s(request, 0);
  using Bans = std::vector<StepPlan::Ban>;
  auto bans = [&](std::vector<int32_t> output, int32_t num_unknown) {
    s.tokens = request->prompt;
    s.tokens.insert(s.tokens.end(), output.begin(), output.end());
    s.num_in_flight = num_unknown + 1;
    Bans list;
    s.list_bans(3, list);
    return list;
  };
  CHECK(bans({}, 0).empty());  // the prompt does not count
  CHECK(bans({5}, 0) == Bans{{3, 6, -1}});
  CHECK(bans({4, 5}, 0) == Bans{{3, 6, -1}, {3, 6, -1}});
  CHECK(bans({9, 4, 5}, 0) == Bans{{3, 6, -1}, {3, 6, -1}, {3, 7, -1}});
  CHECK(bans({5, 8}, 0).empty());
  // The last one is not known yet: the device compares it.
  CHECK(bans({}, 1) == Bans{{3, 2, 1}, {3, 6, 5}});
  CHECK(bans({4}, 1) == Bans{{3, 2, 1}, {3, 6, 5}, {3, 6, 5}});
  CHECK(bans({9, 4}, 1) == Bans{{3, 2, 1}, {3, 6, 5}, {3, 6, 5}, {3, 7, 5}});
}
