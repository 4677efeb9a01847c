#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "perf/serve_load/load_report.h"

using namespace ll;
using doctest::Approx;

TEST_CASE("summaries are numpy's") {
  TimeSummary none = summarize_seconds({});
  CHECK(none.mean == 0);
  CHECK(none.p99 == 0);
  TimeSummary one = summarize_seconds({0.25});
  CHECK(one.median == 250);
  CHECK(one.p99 == 250);
  CHECK(one.stddev == 0);
  // numpy: a = [4, 1, 3, 2]; a.mean(), median(a), a.std(), percentile(a, 99)
  TimeSummary four = summarize_seconds({4, 1, 3, 2});
  CHECK(four.mean == Approx(2500));
  CHECK(four.median == Approx(2500));
  CHECK(four.stddev == Approx(1118.033989));
  CHECK(four.p99 == Approx(3970));
}

TEST_CASE("a report is of the streams that came whole") {
  std::vector<LoadAnswer> answers = {
      {.was_sent = true,
       .start = 1,
       .first_token = 1.5,
       .end = 3.5,
       .gaps = {1, 1},
       .prompt_tokens = 10,
       .tokens = 5},
      {.was_sent = true,
       .start = 2,
       .first_token = 2.1,
       .end = 2.1,
       .prompt_tokens = 7,
       .tokens = 1},
      {.error = "429: too many", .was_sent = true, .start = 2, .end = 5},
      {.was_sent = true, .has_left = true, .start = 2, .first_token = 3, .end = 4, .tokens = 3},
      {},  // there was no time for it
  };
  LoadReport r = report_load(answers);
  CHECK(r.completed == 2);
  CHECK(r.failed == 1);
  CHECK(r.left == 1);
  CHECK(r.input_tokens == 17);
  CHECK(r.output_tokens == 6);
  CHECK(r.seconds == 4);
  CHECK(r.ttft.mean == Approx(300));
  CHECK(r.tpot.mean == Approx(500));  // an answer of one token has none
  CHECK(r.itl.median == Approx(1000));
  CHECK(r.e2el.mean == Approx((2500 + 100) / 2.0));
  CHECK(r.first_error == "429: too many");
  auto json = r.json();
  CHECK(json["output_throughput"] == 1.5);
  CHECK(json["p99_ttft_ms"].get<double>() == Approx(496));
  std::string text = r.text();
  CHECK(text.find("Mean TTFT (ms):                          300.00") != text.npos);
  CHECK(text.find("Clients that left:                       1") != text.npos);
  CHECK(text.find("first error: 429: too many") != text.npos);
}

TEST_CASE("a report of nothing divides by nothing") {
  LoadReport r = report_load({});
  CHECK(r.seconds == 0);
  CHECK(r.json()["request_throughput"] == 0.0);
}
