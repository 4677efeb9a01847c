// The life of a batch's output over several runs, without a model.
#include "runtime/batch/batch_output.h"

#include <doctest/doctest.h>
#include <fmt/core.h>

#include <algorithm>
#include <functional>

#include "base/json_tree.h"
#include "tests/unit/model/files/model_files.h"
#include "tests/unit/runtime/batch/answer_lines.h"

using namespace ll;
using namespace ll::test;

namespace {

using Resume = BatchOptions::Resume;
using OutputOrder = BatchOptions::OutputOrder;

const ModelIdentity kModel = {.path = "m.h5", .fingerprint = "abc", .dtype = "float32"};

// A job over an input of five lines, the last without an end.
struct Job {
  TemporaryFolder folder;
  EngineConfig config;
  std::string out = folder / "out", partial = out + ".partial", record = out + ".job";

  Job() {
    write_text(folder / "in", "1\n2\n3\n4\n5");
    config.job.input = folder / "in";
    config.job.output = out;
  }

  // A run that answers some lines; negative ones with an error.
  void run(const std::vector<int64_t>& lines, bool ends = false,
           const ModelIdentity& model = kModel) const {
    BatchOutput output(config, "host");
    output.set_model(model);
    for (int64_t line : lines)
      output.write(line < 0 ? bad_record(-line) : good_record(line), line < 0);
    if (ends) output.finish({});
  }
  std::vector<int64_t> missing() const {
    BatchOutput output(config, "host");
    output.set_model(kModel);
    std::vector<int64_t> lines;
    for (int64_t i = output.lines().first; i <= output.lines().last; ++i)
      if (!output.answered().contains(i)) lines.push_back(i);
    return lines;
  }
  bool is_complete() const {
    BatchOutput output(config, "host");
    output.set_model(kModel);
    return output.is_complete();
  }
  std::string error(const ModelIdentity& model = kModel) const {
    return error_of([&] { run({}, false, model); });
  }
};

using Lines = std::vector<int64_t>;

int64_t lines_of(const std::string& text) { return std::count(text.begin(), text.end(), '\n'); }

}  // namespace

TEST_CASE("output: runs go on where the one before ended") {
  Job job;
  CHECK(job.missing() == Lines{1, 2, 3, 4, 5});
  CHECK_FALSE(fs::exists(job.partial));
  job.run({4, 2});
  CHECK_FALSE(fs::exists(job.out));
  CHECK(job.missing() == Lines{1, 3, 5});
  job.run({1});
  job.run({5, 3}, true);
  CHECK(read_file(job.out) ==
        good_line(4) + good_line(2) + good_line(1) + good_line(5) + good_line(3));
  CHECK_FALSE(fs::exists(job.partial));
  CHECK(job.is_complete());
  CHECK_FALSE(fs::exists(job.partial));
}

TEST_CASE("output: what is torn is asked again") {
  Job job;
  job.run({1, 2});
  fs::resize_file(job.partial, fs::file_size(job.partial) - 5);
  {
    BatchOutput output(job.config, "host");
    output.set_model(kModel);
    REQUIRE(output.news().size() == 2);
    CHECK(output.news()[0] == "resumed        1 of 5 answered before");
    CHECK(contains(output.news()[1],
                   fmt::format("a torn line of {} bytes", good_record(2).size() - 4)));
  }
  job.run({2, 3, 4, 5}, true);
  CHECK(read_file(job.out) ==
        good_line(1) + good_line(2) + good_line(3) + good_line(4) + good_line(5));
}

TEST_CASE("output: errors do not go to the output, not of a job that is gone on with either") {
  Job job;
  job.config.job.error_file = job.folder / "there/../out";
  fs::create_directory(job.folder / "there");
  CHECK(contains(job.error(), "is job.output, too"));
  job.config.job.error_file.clear();
  job.run({1});
  job.config.job.error_file = job.out;
  CHECK(contains(job.error(), "is job.output, too"));
}

TEST_CASE("output: another input is refused with both hashes") {
  Job job;
  job.run({1});
  write_text(job.config.job.input, "1\n2\n3\n4\n6");
  std::string message = job.error();
  CHECK(contains(message, "sha256 " + digest_input(job.config.job.input).sha256));
  write_text(job.folder / "old", "1\n2\n3\n4\n5");
  CHECK(contains(message, "sha256 " + digest_input(job.folder / "old").sha256));
  CHECK(contains(message, "job.resume: restart"));
  job.config.job.resume = Resume::kRestart;
  job.run({2, 3, 4, 5, 1}, true);
  CHECK(job.is_complete());
}

TEST_CASE("output: another model, dtype or seed is refused unless forced; the path may differ") {
  Job job;
  job.run({1});
  ModelIdentity moved = kModel, other = kModel, dtype = kModel, seed = kModel;
  moved.path = "elsewhere.h5";
  other.fingerprint = "def";
  dtype.dtype = "bfloat16";
  seed.seed = 1;
  CHECK(job.error(moved).empty());
  CHECK(contains(job.error(other), "another model: m.h5 (abc), and now it is m.h5 (def)"));
  CHECK(contains(job.error(dtype), "another dtype: float32, and now it is bfloat16"));
  CHECK(contains(job.error(seed), "another seed: 0, and now it is 1"));
  job.config.job.resume = Resume::kForce;
  job.run({2}, false, other);
  job.config.job.resume = Resume::kAuto;
  CHECK(job.error(other).empty());  // whose answers are the last now
}

TEST_CASE("output: a foreign file is kept, an empty one is none") {
  Job job;
  write_text(job.out, "precious\n");
  CHECK(contains(job.error(), "out: exists already"));
  CHECK(read_file(job.out) == "precious\n");
  job.config.job.overwrite = true;
  job.run({1, 2});
  CHECK(read_file(job.out) == "precious\n");  // until all is answered
  job.run({3, 4, 5}, true);
  CHECK(contains(read_file(job.out), "batch_req_1"));
  job.config.job.overwrite = false;
  CHECK(job.is_complete());
  write_text(job.out, "");
  CHECK(job.missing() == Lines{1, 2, 3, 4, 5});
}

TEST_CASE("output: a complete one of another job is refused, and overwritten if wanted") {
  Job job;
  job.run({1, 2, 3, 4, 5}, true);
  ModelIdentity other = kModel;
  other.fingerprint = "def";
  std::string another = job.error(other);
  CHECK(contains(another, "out: holds answers of another model"));
  CHECK(contains(another, "set job.overwrite: true to begin anew"));
  write_text(job.config.job.input, "1\n");
  std::string refused = job.error();
  CHECK(contains(refused, "out: holds answers to another input"));
  CHECK(contains(refused, "or set job.overwrite: true"));
  job.config.job.overwrite = true;
  job.run({1}, true);
  CHECK(read_file(job.out) == good_line(1));
}

TEST_CASE("output: a journal of which nobody knows whose it is") {
  Job job;
  job.run({1});
  fs::remove(job.record);
  CHECK(contains(job.error(), "out.job: is missing"));
  write_text(job.record, "{");
  CHECK(contains(job.error(), "out.job"));
}

TEST_CASE("output: errors are final, or asked again") {
  Job job;
  job.run({1, -2, -4});
  CHECK(job.missing() == Lines{3, 5});
  job.config.job.retry_errors = true;
  CHECK(job.missing() == Lines{2, 3, 4, 5});
  job.run({2});
  CHECK(read_file(job.partial) == good_line(1) + good_line(2));
  CHECK(job.missing() == Lines{3, 4, 5});
}

TEST_CASE("output: errors of a complete one are asked again; it stays until they are answered") {
  Job job;
  job.run({1, -2, 3, -4, 5}, true);
  CHECK(job.is_complete());
  job.config.job.retry_errors = true;
  CHECK_FALSE(job.is_complete());
  CHECK(job.missing() == Lines{2, 4});
  std::string before = read_file(job.out);
  job.run({4});
  CHECK(read_file(job.out) == before);
  CHECK(read_file(job.partial) == good_line(1) + good_line(3) + good_line(5) + good_line(4));
  job.config.job.retry_errors = false;  // whoever goes on has no choice
  CHECK(job.missing() == Lines{2});
  ModelIdentity other = kModel;
  other.fingerprint = "def";
  CHECK(contains(job.error(other), "out: holds answers of another model"));
  job.run({-2}, true);
  CHECK(read_file(job.out) ==
        good_line(1) + good_line(3) + good_line(5) + good_line(4) + bad_line(2));
  CHECK(job.is_complete());
  job.config.job.retry_errors = true;
  job.run({2}, true);
  CHECK(job.is_complete());  // nothing is left to ask again
}

TEST_CASE(
    "output: a kill before the new output has its name costs nothing of what was asked again") {
  Job job;
  job.run({1, 2, 3, 4, -5}, true);
  job.config.job.retry_errors = true;
  job.run({5});
  // As it is when all is written but the name.
  auto record = JobFile::read(job.record).value();
  record.finished = FinishedOutput::of(job.partial);
  record.counts = {.total = 5, .failed = 0};
  record.write(job.record);
  CHECK_FALSE(job.is_complete());
  CHECK(job.missing().empty());
  job.run({}, true);
  CHECK(contains(read_file(job.out), good_record(5)));
  CHECK(job.is_complete());
}

TEST_CASE("output: errors in a file of their own are asked again, too") {
  Job job;
  job.config.job.error_file = job.folder / "errors";
  job.run({1, 2, 3, -4, -5}, true);
  job.config.job.retry_errors = true;
  CHECK(job.missing() == Lines{4, 5});
  job.run({4, -5}, true);
  CHECK(read_file(job.folder / "errors") == bad_line(5));
  job.run({5}, true);
  CHECK(read_file(job.folder / "errors").empty());
  CHECK(job.is_complete());
}

TEST_CASE("output: an empty one is complete where all answers are errors elsewhere") {
  Job job;
  job.config.job.error_file = job.folder / "errors";
  job.run({-1, -2, -3, -4, -5}, true);
  CHECK(read_file(job.out).empty());
  CHECK(job.is_complete());
  CHECK(lines_of(read_file(job.folder / "errors")) == 5);
}

TEST_CASE("output: in the order of the input, errors in a file of their own") {
  Job job;
  job.config.job.output_order = OutputOrder::kInput;
  job.config.job.error_file = job.folder / "errors";
  job.run({5, -3});
  job.run({1, 2, -4}, true);
  CHECK(read_file(job.out) == good_line(1) + good_line(2) + good_line(5));
  CHECK(read_file(job.folder / "errors") == bad_line(3) + bad_line(4));
  CHECK_FALSE(fs::exists(job.partial));
  CHECK(job.is_complete());
  JsonTree record = JsonTree::parse(read_file(job.record), "out.job");
  CHECK(record.find("request_counts")->python_dump() ==
        R"({"total": 5, "completed": 3, "failed": 2})");
  job.config.job.overwrite = false;
  job.config.job.output = job.folder / "other";
  CHECK(contains(job.error(), "errors: exists already"));
}

TEST_CASE("output: parts have outputs of their own") {
  Job job;
  job.config.job.part = {2, 2};
  CHECK(job.missing() == Lines{3, 4, 5});
  job.run({4});
  CHECK(job.missing() == Lines{3, 5});
  job.config.job.part = {1, 2};
  CHECK(contains(job.error(), "holds answers to part 2/2 of the input, and job.part is 1/2"));
}

TEST_CASE("output: two jobs at a time") {
  Job job;
  BatchOutput first(job.config, "node3");
  first.set_model(kModel);
  first.write(good_record(1), false);
  CHECK(contains(job.error(),
                 fmt::format("is being written by another job: process {} on node3", getpid())));
}

TEST_CASE("output: a link stays one") {
  Job job;
  fs::create_directory(job.folder / "scratch");
  write_text(job.folder / "scratch/target", "");
  fs::create_symlink(job.folder / "scratch/target", job.out);
  job.run({1, 2, 3, 4, 5}, true);
  CHECK(fs::is_symlink(job.out));
  CHECK(contains(read_file(job.folder / "scratch/target"), "batch_req_5"));
}

TEST_CASE(
    "output: devices and pipes are written as it comes, and have no order, parts or error file") {
  Job job;
  job.config.job.output = "/dev/null";
  job.run({1}, true);
  CHECK_FALSE(fs::exists("/dev/null.job"));
  job.config.job.part = {1, 2};
  CHECK(contains(job.error(), "job.part: needs an input and an output that are regular files"));
  job.config.job.part = {};
  job.config.job.output_order = OutputOrder::kInput;
  CHECK(contains(job.error(), "job.output_order: needs"));
}
