#include "runtime/server/server_metrics.h"

#include <doctest/doctest.h>

#include "tests/support/errors.h"

using namespace ll;
using namespace ll::test;

TEST_CASE("server metrics: times of ranks are litelang's, whatever the prefix of others") {
  GroupTimes times;
  times.add(std::vector<StepTime>{{3, 1}, {2.5f, 0.5f}});
  ServerMetrics metrics("vllm", "m");
  metrics.set_times(times);
  std::string text = metrics.text(), labels = R"({engine="0",model_name="m")";
  CHECK(contains(text, "\nvllm:num_requests_running{"));
  CHECK(contains(text, "\n# TYPE litelang:rank_step_seconds summary\n"));
  auto has = [&](const std::string& name, const std::string& rest) {
    return contains(text, "\nlitelang:" + name + labels + rest + "\n");
  };
  CHECK(has("rank_step_seconds_sum", R"(,rank="1"} 2.5)"));
  CHECK(has("rank_step_seconds_count", R"(,rank="1"} 1)"));
  CHECK(has("rank_collective_seconds_sum", R"(,rank="0"} 1)"));
  CHECK(has("rank_wait_seconds_sum", R"(,rank="0"} 0.5)"));
  CHECK(has("step_skew_seconds_sum", "} 0.5"));
  CHECK(has("step_skew_seconds_count", "} 1"));
}

TEST_CASE("server metrics: collectives that nobody times are not said to take no time") {
  GroupTimes times;
  times.add(std::vector<StepTime>{{3, 0}, {2, 0}});
  ServerMetrics metrics("litelang", "m");
  metrics.set_times(times);
  CHECK(contains(metrics.text(), "litelang:rank_wait_seconds_sum{"));
  CHECK(!contains(metrics.text(), "collective"));
}
