#include "runtime/bench/grid_report.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/support/errors.h"

using namespace ll;
using namespace ll::test;
using Json = nlohmann::ordered_json;

namespace {

// 10 prompts of 100 tokens; 10 sequences. A gathered mode that prefills faster and decodes slower.
GridsResult result() {
  StepTimes steady{1, 0.1, 0.2}, fast{0.5, 0.2, 0.4};
  return {.num_ranks = 2,
          .prompts = 10,
          .prompt_len = 100,
          .batch = 10,
          .context = 100,
          .grids = {{{.y = 2}, 4e9, 0, {{false, steady, steady}}},
                    {{.z = 2}, 4e9, 0.05, {{false, steady, steady}, {true, fast, fast}}},
                    {{.dp = 2}, 8e9, 0.07, {{false, {1, 0.2, 0.3}, {1, 0.2, 0.1}}}}},
          .left_out = {{{.x = 2}, "needs 9.0 GB a rank, 8.0 are there"}}};
}

}  // namespace

TEST_CASE("grids: tokens a second are those of prompts and answers of one length") {
  GridsResult r = result();
  // A token takes a tenth of a step of ten, and its prompt a thousandth of a prefill.
  CHECK(r.tokens_per_s({.y = 2}, {1, 0.1, 0.2}) == doctest::Approx(1 / (0.02 + 0.001)));
  CHECK(r.tokens_per_s({.dp = 2}, {1, 0.1, 0.2}) == doctest::Approx(2 / (0.02 + 0.001)));
  StepTimes z = r.grids[1].measured();  // each step in the mode that suits it
  CHECK(z.prefill == 0.5);
  CHECK(z.decode_one == 0.1);
  CHECK(z.decode_many == 0.2);
}

TEST_CASE("grids: the best and the planner's choice, and how far they are apart") {
  GridsResult r = result();
  CHECK(r.best() == 2);
  CHECK(r.choice() == 2);
  CHECK(r.share_of_best() == doctest::Approx(1));
  r.grids[2].modes[0].measured.decode_many = 0.8;  // slower than expected
  CHECK(r.best() == 1);
  CHECK(r.choice() == 2);
  CHECK(r.share_of_best() == doctest::Approx((2 / (0.08 + 0.001)) / (1 / (0.02 + 0.0005))));
}

TEST_CASE("grids: a line a grid and mode, and the same as JSON") {
  BenchReport b = report({.name = "m"}, result());
  for (const char* part :
       {"Grids of 2 ranks, a context of 100 tokens\n", "prefill 10 x 100, ms", "decode 10, ms",
        "dp 1 x 1 y 2 z 1             stationary    4.00      0.0  1000.00  1000.00  1.00",
        "                             gathered ", "needs 9.0 GB a rank",
        "Best measured: dp 2 x 1 y 1 z 1\n",
        "Planner's choice: dp 2 x 1 y 1 z 1, 100.0% of the best's tokens a second\n"})
    CHECK(contains(b.text, part));
  Json json = Json::parse(b.json);
  CHECK(json["num_ranks"] == 2);
  CHECK(json["grids"].size() == 3);
  CHECK(json["grids"][1]["modes"][1]["mode"] == "gathered");
  CHECK(json["grids"][1]["modes"][1]["measured"]["prefill"] == 0.5);
  CHECK(json["choice"] == "dp 2 x 1 y 1 z 1");
  CHECK(json["choice_share_of_best"] == doctest::Approx(1));
}

TEST_CASE("grids: none that fits is said, not chosen from") {
  GridsResult r = result();
  r.grids.clear();
  CHECK(contains(report({.name = "m"}, r).text, "needs 9.0 GB a rank"));
}
