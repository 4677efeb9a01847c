// A job's plans in a file, run again without its requests.
#include <doctest/doctest.h>
#include <fmt/core.h>

#include "tests/e2e/batch.h"
#include "tests/support/errors.h"

using namespace ll::test;

namespace {

struct RecordedJob : BatchFiles {
  std::string plans = folder.path("plans");

  RecordedJob(int count, int max_tokens) : BatchFiles(jsonl(various_requests(count, max_tokens))) {}
  Outcome run(int np, std::vector<std::string> sets) const {
    return ll::test::run(command({.np = np, .sets = std::move(sets)}));
  }
};

}  // namespace

TEST_CASE("recorded plans are run again without requests: the same tokens, on any grid") {
  struct Case {
    int np;
    std::vector<std::string> sets;
  };
  for (const Case& c : {Case{1, {}}, Case{2, {}}, Case{2, {"grid.dp=2"}}, Case{2, {"grid.x=2"}},
                        Case{1, {"speculative.method=ngram", "speculative.adaptive=false"}}}) {
    RecordedJob job(40, 12);
    auto sets = c.sets;
    sets.insert(sets.end(), {"record_plan=" + job.plans, "scheduler.max_num_seqs=8",
                             "kv_cache.memory_bytes=3MB"});
    Outcome o = job.run(c.np, sets);
    INFO(o.err);
    REQUIRE(o.exit_code == 0);
    // What plans need of the configuration is in their file.
    Outcome again = job.run(c.np, {"replay_plan=" + job.plans});
    INFO(again.err);
    CHECK(again.exit_code == 0);
    CHECK(contains(again.err, " tokens, all as recorded"));
  }
}

TEST_CASE("a recording without an end is replayed; one of another job, torn or foreign, is told") {
  RecordedJob job(20, 8);
  REQUIRE(job.run(1, {"record_plan=" + job.plans}).exit_code == 0);
  std::string whole = read_file(job.plans);
  // As it is when the program was killed.
  constexpr size_t kEndBytes = 12;
  job.folder.write("plans", whole.substr(0, whole.size() - kEndBytes));
  Outcome killed = job.run(1, {"replay_plan=" + job.plans});
  INFO(killed.err);
  CHECK(killed.exit_code == 0);
  CHECK(contains(killed.err, "all as recorded"));
  CHECK(contains(killed.err, "has no end: the program was ended in or behind step "));

  auto refuses = [&](int np, const std::string& part, std::string model = "tiny-qwen2-docs") {
    Batch batch{.np = np, .model = model_file(model), .sets = {"replay_plan=" + job.plans}};
    Outcome o = run(job.command(batch));
    INFO(o.err);
    CAPTURE(part);
    CHECK_FALSE(o.timed_out);
    CHECK(o.exit_code == 1);
    CHECK(contains(o.err, "litelang-run: " + job.plans + part));
  };
  refuses(2, ": was recorded on 1 ranks (dp 1 x 1 y 1 z 1), 2 were started");
  refuses(1, ": was recorded with another model", "random-hd64");
  job.folder.write("plans", whole.substr(0, whole.size() * 2 / 3));
  refuses(1, ": is cut short at byte ");
  job.folder.write("plans", "{}");
  refuses(1, ": is no recording of plans; record_plan makes one");
  refuses(2, ": is no recording of plans; record_plan makes one");
}
