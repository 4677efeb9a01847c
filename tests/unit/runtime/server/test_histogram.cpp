#include "runtime/server/histogram.h"

#include <doctest/doctest.h>

using namespace ll;

TEST_CASE("buckets count what is not above their bound, and all below them") {
  Histogram h({0.5, 1, 10});
  for (double value : {0.25, 0.5, 0.75, 1.0, 11.0}) h.observe(value);
  std::string text;
  h.print(text, "x", "a=\"b\"");
  CHECK(text ==
        "x_bucket{a=\"b\",le=\"0.5\"} 2\n"
        "x_bucket{a=\"b\",le=\"1\"} 4\n"
        "x_bucket{a=\"b\",le=\"10\"} 4\n"
        "x_bucket{a=\"b\",le=\"+Inf\"} 5\n"
        "x_sum{a=\"b\"} 13.5\n"
        "x_count{a=\"b\"} 5\n");
}
