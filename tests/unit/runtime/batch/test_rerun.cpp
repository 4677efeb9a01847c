#include "runtime/batch/rerun.h"

#include <doctest/doctest.h>

#include "runtime/batch/batch_envelope.h"
#include "tests/unit/model/files/model_files.h"

using namespace ll;
using namespace ll::test;

namespace {

std::string good(int64_t line, const std::string& text, int64_t created = 1) {
  return batch_record(
             line, "id",
             fmt::format(
                 R"({{"created":{},"choices":[{{"text":"{}"}}],"usage":{{"prompt_tokens":3,)"
                 R"("prompt_tokens_details":{{"cached_tokens":{}}},"litelang":{{}}}}}})",
                 created, text, created)) +
         "\n";
}
std::string bad(int64_t line) { return batch_error_record(line, "", "wrong") + "\n"; }

// A job of five lines, of which the second is blank.
struct Job {
  TemporaryFolder folder;
  std::string path = folder / "out.manifest.json";
  Manifest manifest;

  Job() {
    write_text(folder / "in", "1\n\n3\n4\n5\n");
    manifest.fingerprint.input = digest_input(folder / "in");
    manifest.configuration = {{"job.input", folder / "in"},
                              {"job.overwrite", "true"},
                              {"job.output", folder / "out"},
                              {"seed", "5"}};
    manifest.output = folder / "out";
    manifest.error_file = folder / "errors";
    manifest.is_complete = true;
    manifest.write(path);
    write_text(folder / "out", good(3, "c") + good(1, "a") + good(5, "e"));
    write_text(folder / "errors", bad(4));
  }
  Rerun::Comparison compare(const std::string& answers) const {
    write_text(folder / "new", answers);
    return Rerun(path).compare(folder / "new");
  }
};

}  // namespace

TEST_CASE("rerun: the settings of the job, but for its output") {
  Job job;
  CHECK(Rerun(job.path).settings() ==
        std::vector<std::string>{"job.input=" + job.folder / "in", "seed=5",
                                 "job.output=" + job.folder / "out.rerun"});
  job.manifest.is_complete = false;
  job.manifest.write(job.path);
  CHECK(contains(error_of([&] { Rerun rerun(job.path); }), "has not come to its end"));
}

TEST_CASE("rerun: answers are the same in any order, whatever is of their time alone") {
  Job job;
  auto c = job.compare(good(1, "a", 2) + good(3, "c") + bad(4) + good(5, "e", 3));
  CHECK(c.num_equal == 4);
  CHECK(c.num_different == 0);
  CHECK(c.has_answers);
}

TEST_CASE("rerun: one that differs, is missing or is too much is found") {
  Job job;
  auto c = job.compare(good(1, "a") + good(3, "x") + bad(4) + good(5, "e"));
  CHECK(c.num_equal == 3);
  CHECK(c.num_different == 1);
  CHECK(c.first_different == 3);
  CHECK(job.compare(good(1, "a") + good(3, "c") + bad(4)).first_different == 5);
  CHECK(job.compare(good(1, "a") + good(2, "b") + good(3, "c") + bad(4) + good(5, "e"))
            .first_different == 2);
  CHECK(contains(error_of([&] { job.compare("what?\n"); }), "new:1: is no answer of this job"));
}

TEST_CASE("rerun: where the answers are gone there is nothing to compare") {
  Job job;
  fs::remove(job.folder / "out");
  CHECK_FALSE(job.compare(good(1, "a")).has_answers);
}

TEST_CASE("rerun: another input is refused with both hashes") {
  Job job;
  EngineConfig config;
  config.job.input = job.folder / "other";
  write_text(config.job.input, "1\n2\n");
  std::string message = error_of([&] { Rerun(job.path).check_same(config, ""); });
  CHECK(contains(message, "other: is not the input of " + job.path));
  CHECK(contains(message, job.manifest.fingerprint.input.sha256));
  CHECK(contains(message, digest_input(config.job.input).sha256));
}
