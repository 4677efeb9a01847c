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
