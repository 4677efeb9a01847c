#include "runtime/batch/rerun.h"

#include <doctest/doctest.h>

#include "tests/unit/model/files/model_files.h"
#include "tests/unit/runtime/batch/answer_lines.h"

using namespace ll;
using namespace ll::test;

namespace {

// With what is of an answer's time alone.
std::string answer_line(int64_t line, const std::string& text, int64_t created = 1) {
  return batch_record(
             line, "id",
             fmt::format(
                 R"({{"created":{},"choices":[{{"text":"{}"}}],"usage":{{"prompt_tokens":3,)"
                 R"("prompt_tokens_details":{{"cached_tokens":{}}},"litelang":{{}}}}}})",
                 created, text, created)) +
         "\n";
}

// A job of five lines, of which the second is blank.
struct FinishedJob {
  TemporaryFolder folder;
  std::string path = folder / "out.manifest.json";
  Manifest manifest;

  FinishedJob() {
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
    write_text(folder / "out", answer_line(3, "c") + answer_line(1, "a") + answer_line(5, "e"));
    write_text(folder / "errors", bad_line(4));
  }
  Rerun::Comparison compare(const std::string& answers) const {
    write_text(folder / "new", answers);
    return Rerun(path).compare(folder / "new");
  }
};

}  // namespace

TEST_CASE("rerun: the settings of the job, but for its output") {
  FinishedJob job;
  CHECK(Rerun(job.path).settings() ==
        std::vector<std::string>{"job.input=" + job.folder / "in", "seed=5",
                                 "job.output=" + job.folder / "out.rerun"});
  job.manifest.is_complete = false;
  job.manifest.write(job.path);
  CHECK(contains(error_of([&] { Rerun rerun(job.path); }), "has not come to its end"));
}

TEST_CASE("rerun: answers are the same in any order, whatever is of their time alone") {
  FinishedJob job;
  auto c = job.compare(answer_line(1, "a", 2) + answer_line(3, "c") + bad_line(4) +
                       answer_line(5, "e", 3));
  CHECK(c.num_equal == 4);
  CHECK(c.num_different == 0);
  CHECK(c.has_answers);
}

TEST_CASE("rerun: one that differs, is missing or is too much is found") {
  FinishedJob job;
  auto c =
      job.compare(answer_line(1, "a") + answer_line(3, "x") + bad_line(4) + answer_line(5, "e"));
  CHECK(c.num_equal == 3);
  CHECK(c.num_different == 1);
  CHECK(c.first_different == 3);
  CHECK(job.compare(answer_line(1, "a") + answer_line(3, "c") + bad_line(4)).first_different == 5);
  CHECK(job.compare(answer_line(1, "a") + answer_line(2, "b") + answer_line(3, "c") + bad_line(4) +
                    answer_line(5, "e"))
            .first_different == 2);
  CHECK(contains(error_of([&] { job.compare("what?\n"); }), "new:1: is no answer of this job"));
}

TEST_CASE("rerun: where the answers are gone there is nothing to compare") {
  FinishedJob job;
  fs::remove(job.folder / "out");
  CHECK_FALSE(job.compare(answer_line(1, "a")).has_answers);
}

TEST_CASE("rerun: another input is refused with both hashes") {
  FinishedJob job;
  EngineConfig config;
  config.job.input = job.folder / "other";
  write_text(config.job.input, "1\n2\n");
  std::string message = error_of([&] { Rerun(job.path).check_same(config, ""); });
  CHECK(contains(message, "other: is not the input of " + job.path));
  CHECK(contains(message, job.manifest.fingerprint.input.sha256));
  CHECK(contains(message, digest_input(config.job.input).sha256));
}
