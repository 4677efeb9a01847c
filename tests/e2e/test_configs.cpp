// The files of configs/: the reference is what litelang-run prints, the demonstration runs.
#include <doctest/doctest.h>
#include <fmt/core.h>

#include "tests/e2e/batch.h"
#include "tests/support/test_paths.h"

using namespace ll;
using namespace ll::test;

namespace {

std::string config_path(const std::string& name) { return repository_path("configs/" + name); }

}  // namespace

TEST_CASE("litelang-run prints the reference, and the keys with its help") {
  std::string reference = read_file(config_path("reference.yaml"));
  CHECK(run({program("litelang-run"), "--print_reference"}).out == reference);
  Outcome help = run({program("litelang-run"), "--help"});
  CHECK(help.exit_code == 0);
  CHECK(help.out.find(reference) != std::string::npos);
}

TEST_CASE("the demonstration answers all its requests") {
  TempFolder folder;
  for (const char* np : {"1", "2", "4"}) {
    CAPTURE(np);
    Outcome o = run({"mpirun", "--allow-run-as-root", "--quiet", "--oversubscribe", "--bind-to",
                     "none", "-np", np, program("litelang-run"), config_path("demo.yaml"), "--set",
                     "model.path=" + model_file("tiny-qwen2-docs"), "--set",
                     "job.output=" + folder.path("out"), "--set", "backend=cpu"});
    INFO(o.err);
    CHECK(o.exit_code == 0);
    auto requests = lines_of(read_file(config_path("demo.jsonl")));
    auto answers = lines_of(read_file(folder.path("out")));
    CHECK(requests.size() > 10);
    CHECK(answers.size() == requests.size());
    for (const std::string& line : answers) CHECK(Json::parse(line)["error"].is_null());
  }
}
