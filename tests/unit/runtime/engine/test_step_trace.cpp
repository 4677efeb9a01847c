#include "runtime/engine/step_trace.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "tests/support/device.h"

using namespace ll;
using namespace ll::test;

TEST_CASE("trace: the first steps, or the last, the oldest first") {
  char path[] = "/tmp/litelang_trace_XXXXXX";
  int fd = ::mkstemp(path);
  REQUIRE(fd >= 0);
  ::close(fd);
  for (auto keeps : {StepTrace::Keeps::kFirst, StepTrace::Keeps::kLast}) {
    StepTrace trace(backend(), stream(), 3, keeps);
    for (int32_t id = 1; id <= 5; ++id) {
      trace.begin_step(id, 10 * id);
      trace.end_step();
    }
    StepTrace::Summary summary = trace.summary();
    CHECK(summary.steps == 3);
    CHECK(summary.busy_ms >= 0);
    CHECK(summary.idle_ms >= 0);
    trace.write(path);
    std::stringstream text;
    text << std::ifstream(path).rdbuf();
    int32_t first = keeps == StepTrace::Keeps::kFirst ? 1 : 3;
    size_t at = 0;
    for (int32_t id = first; id < first + 3; ++id) {
      at = text.str().find("step " + std::to_string(id) + " (" + std::to_string(10 * id), at);
      CHECK(at != std::string::npos);
    }
  }
  ::unlink(path);
}
