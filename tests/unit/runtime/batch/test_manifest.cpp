#include "runtime/batch/manifest.h"

#include <doctest/doctest.h>

#include "base/json_tree.h"
#include "runtime/batch/manifest_keeper.h"
#include "tests/unit/model/files/model_files.h"

using namespace ll;
using namespace ll::test;

namespace {

const JobFingerprint kJob = {.input_path = "/in",
                             .input = {.sha256 = "ab", .bytes = 9, .lines = 3},
                             .part = {1, 2},
                             .model = {"/m.h5", "cd", "float32", 7}};

Manifest facts() {
  return {.program = "litelang 0.1.0",
          .commit = "1234+",
          .libraries = {{"HDF5", "1.10.8"}},
          .configuration = {{"model.path", "/m.h5"}, {"job.part", "1/2"}},
          .weights = "ef",
          .output = "/out",
          .error_file = "/errors"};
}

JobLife life() {
  return {.writer = {.host = "node1", .pid = 17, .slurm_job = "4711"},
          .grid = "dp 1 x 1 y 2 z 1",
          .hosts = {{"node1", "CPU", 1}, {"node2", "CPU", 1}},
          .kv_tokens = 100};
}

JobWork work(int64_t tokens) {
  return {.prompt_tokens = 3 * tokens,
          .cached_tokens = tokens,
          .output_tokens = 2 * tokens,
          .cost = {.device_seconds = 0.5, .joules = 30, .computed_tokens = 4 * tokens},
          .given_back = {.device_seconds = 0.125, .joules = 0, .computed_tokens = 1}};
}

}  // namespace

TEST_CASE("manifest: all of it is read as it was written") {
  TemporaryFolder folder;
  Manifest m = facts();
  m.fingerprint = kJob;
  m.counts = {.total = 3, .failed = 1};
  m.is_complete = true;
  m.lives = {life()};
  m.lives[0].begin = "2026-11-30T12:00:00Z";
  m.lives[0].exit = "done";
  m.lives[0].work = work(5);
  m.write(folder / "m");
  Manifest got = Manifest::read(folder / "m");
  CHECK(got.program == m.program);
  CHECK(got.commit == m.commit);
  CHECK(got.libraries == m.libraries);
  CHECK(got.configuration == m.configuration);
  CHECK(got.fingerprint.input.sha256 == "ab");
  CHECK(got.fingerprint.part == kJob.part);
  CHECK(got.fingerprint.model.fingerprint == "cd");
  CHECK(got.fingerprint.model.seed == 7);
  CHECK(got.weights == "ef");
  CHECK(got.output == "/out");
  CHECK(got.error_file == "/errors");
  CHECK(got.is_complete);
  CHECK(got.counts.failed == 1);
  REQUIRE(got.lives.size() == 1);
  const JobLife& one = got.lives[0];
  CHECK(one.begin == m.lives[0].begin);
  CHECK(one.end.empty());
  CHECK(one.exit == "done");
  CHECK(one.writer.slurm_job == "4711");
  CHECK(one.hosts == m.lives[0].hosts);
  CHECK(one.work.output_tokens == 10);
  CHECK(one.work.cost.joules == 30);
  CHECK(one.work.given_back.device_seconds == 0.125);
  got.write(folder / "again");
  CHECK(read_file(folder / "again") == read_file(folder / "m"));
}

TEST_CASE("manifest: what is none is refused") {
  TemporaryFolder folder;
  CHECK(contains(error_of([&] { Manifest::read(folder / "none"); }), "none"));
  write_text(folder / "a", "{}");
  CHECK(error_of([&] { Manifest::read(folder / "a"); }) ==
        folder / "a: is no manifest of a litelang batch");
  write_text(folder / "b", "half a li");
  CHECK(contains(error_of([&] { Manifest::read(folder / "b"); }), folder / "b"));
  write_text(folder / "c", R"({"format": 2, "lives": [], "configuration": {}})");
  CHECK(contains(error_of([&] { Manifest::read(folder / "c"); }), "is of format 2"));
  // Nor is it replaced.
  CHECK(
      contains(error_of([&] { ManifestKeeper(folder / "a", facts(), life()); }), "is no manifest"));
}

TEST_CASE("manifest: lives follow each other, also one that did not say how it ended") {
  TemporaryFolder folder;
  std::string path = folder / "m";
  {
    ManifestKeeper keeper(path, facts(), life());
    CHECK_FALSE(fs::exists(path));
    keeper.begin(kJob, {});
    CHECK(Manifest::read(path).lives.size() == 1);
    keeper.note(work(1), {.total = 1});  // not yet due
    CHECK(Manifest::read(path).counts.total == 0);
    keeper.end(work(1), {.total = 1}, "stopped: SIGUSR1 came", false);
  }
  {
    ManifestKeeper killed(path, facts(), life());
    killed.begin(kJob, {.is_resumed = true, .answered = 1, .last_write = 0});
  }
  {
    ManifestKeeper keeper(path, facts(), life());
    keeper.begin(kJob, {.is_resumed = true, .answered = 2, .last_write = 1'700'000'000});
    keeper.end(work(2), {.total = 3, .failed = 1}, "done", true);
  }
  Manifest m = Manifest::read(path);
  REQUIRE(m.lives.size() == 3);
  CHECK(m.lives[0].exit == "stopped: SIGUSR1 came");
  CHECK(m.lives[0].answered == 1);
  CHECK(m.lives[1].end == "2023-11-14T22:13:20Z");
  CHECK(m.lives[1].exit.empty());
  CHECK(m.lives[1].answered_before == 1);
  CHECK(m.lives[1].answered == 2);
  CHECK(m.lives[2].answered == 3);
  CHECK(m.is_complete);
  JsonTree tree = JsonTree::parse(read_file(path), "m");
  CHECK(tree.find("totals")->find("output_tokens")->integer() == 6);
  // A job that begins anew has no lives but its own.
  ManifestKeeper keeper(path, facts(), life());
  keeper.begin(kJob, {});
  CHECK(Manifest::read(path).lives.size() == 1);
}
