// The weight files of the other end-to-end tests.
#include <doctest/doctest.h>

#include "tests/e2e/process.h"

using namespace ll::test;

TEST_CASE("litelang convert makes and verifies a weight file of every model") {
  std::filesystem::create_directories(std::filesystem::path(model_file("")).parent_path());
  for (std::string name : {"tiny-qwen2-docs", "random-hd64", "random-hd128"}) {
    CAPTURE(name);
    std::filesystem::remove(model_file(name));
    Outcome o = run({program("litelang"), "convert", "--quiet", "--verify", "--overwrite",
                     model_folder(name), model_file(name)});
    INFO(o.err);
    CHECK(o.exit_code == 0);
    CHECK(o.err.empty());
    CHECK(o.out.find("verified") != o.out.npos);
    CHECK(std::filesystem::exists(model_file(name)));
  }
}
