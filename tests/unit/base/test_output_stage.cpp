#include "base/output_stage.h"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/model/files/model_files.h"

using namespace ll;
using namespace ll::test;

namespace {

// Stages of one target, one after the other: true when each could be written.
bool stage_often(const std::string& target, int times) {
  for (int i = 0; i < times; ++i) {
    OutputStage stage(target, 0);
    std::ofstream file(stage.path_of("part"));
    if (!(file << "text").flush()) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("stage: what a killed process left is removed, what another writes is not") {
  TemporaryFolder folder;
  fs::create_directory(folder / "m.h5.tmp-1");
  write_text(folder / "m.h5.tmp-1/part", "half");
  OutputStage first(folder / "m.h5", 0);
  write_text(first.path_of("part"), "text");
  CHECK(folder.files().size() == 1);
  first.sync({"part"});
  first.commit({"part"});
  CHECK(read_file(folder / "part") == "text");
}

TEST_CASE("stage: two processes at one target do not take each other's folder for left behind") {
  constexpr int kTimes = 1500;
  TemporaryFolder folder;
  std::string target = folder / "m.h5";
  pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    bool ok = false;
    try {
      ok = stage_often(target, kTimes);
    } catch (const std::exception&) {
    }
    ::_exit(ok ? 0 : 1);
  }
  bool ok = false;
  std::string message = error_of([&] { ok = stage_often(target, kTimes); });
  int status = -1;
  ::waitpid(child, &status, 0);
  CHECK(message.empty());
  CHECK(ok);
  CHECK(status == 0);
}
