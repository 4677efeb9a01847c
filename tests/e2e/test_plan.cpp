// litelang plan: on a machine without GPUs and without ranks.
#include <doctest/doctest.h>

#include "tests/e2e/process.h"
#include "tests/support/errors.h"
#include "tests/support/test_paths.h"

using namespace ll::test;

namespace {

std::vector<std::string> plan(const std::vector<std::string>& options) {
  std::vector<std::string> command{program("litelang"), "plan"};
  command.insert(command.end(), options.begin(), options.end());
  return command;
}

}  // namespace

TEST_CASE("plan lists grids of the models' shapes, chooses one, and says why others cannot run") {
  for (std::string size : {"0.5b", "1.5b", "7b", "72b"}) {
    CAPTURE(size);
    std::string model = repository_path("perf/models/qwen2.5-" + size);
    Outcome o = run(plan({"--model", model, "--gpus", "8", "--device", "h200"}));
    CHECK(o.exit_code == 0);
    CHECK(contains(o.out, "on 8 x h200"));
    CHECK(contains(o.out, "choice: dp "));
    CHECK(contains(o.out, "not possible:") ==
          (size != "72b"));  // whose heads divide by all of eight
    CHECK(o.err.empty());
  }
}

TEST_CASE("plan: mistakes are told in a line") {
  std::string model = repository_path("perf/models/qwen2.5-7b");
  Outcome o = run(plan({"--model", model, "--device", "abacus"}));
  CHECK(o.exit_code == 2);
  CHECK(contains(
      o.err,
      "--device abacus: not known; known are h200, h100, a100-40, a100, l40s, rtx4090, a10, cpu"));
  CHECK(run(plan({})).exit_code == 2);
  CHECK(run(plan({"--model", model, "--gpus", "0"})).exit_code == 2);
  CHECK(run(plan({"--model", "/nowhere"})).exit_code == 1);
  o = run(plan({"--model", model, "--gpus", "1", "--memory_gb", "10"}));
  CHECK(o.exit_code == 0);
  CHECK(contains(o.out, "choice: none fits; use more ranks"));
}
