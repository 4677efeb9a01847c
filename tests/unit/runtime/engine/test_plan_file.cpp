#include "runtime/engine/plan_file.h"

#include <doctest/doctest.h>

#include "tests/unit/model/files/model_files.h"

using namespace ll;
using namespace ll::test;

namespace {

const PlanFileHeader kHeader = {.version = "0.1.0",
                                .model = "abc",
                                .model_path = "m \"1\".h5",
                                .grid = "dp 1",
                                .num_ranks = 2,
                                .num_pages = 77,
                                .settings = {{"grid.y", "2"}, {"model.dtype", "float32"}}};

StepPlan plan_of(int32_t id) {
  StepPlan plan{.id = id};
  plan.decode = {{1, 2}};
  plan.samples = {{0, 1, 3}};
  return plan;
}

// A recording of three steps, of whose last nothing came.
void record(const std::string& path, bool ends = true) {
  PlanRecorder recorder(path, kHeader);
  recorder.add(plan_of(1));
  recorder.add(plan_of(2));
  recorder.add(1, std::vector<int32_t>{11, 12});
  recorder.add(plan_of(3));
  if (!ends) fs::copy_file(path, path + ".killed");
}

struct Read {
  std::vector<int32_t> plans;
  std::vector<std::vector<int32_t>> tokens;
  std::string fault;
  bool is_torn = false;
};

Read read(const std::string& path) {
  PlanRecording recording(path);
  Read all;
  while (auto entry = recording.next())
    if (entry->plan)
      all.plans.push_back(entry->plan->id);
    else
      all.tokens.push_back(entry->tokens);
  CHECK_FALSE(recording.next());
  all.fault = recording.fault();
  all.is_torn = recording.is_torn();
  return all;
}

}  // namespace

TEST_CASE("plan file: plans, tokens and header are read as they were written") {
  TemporaryFolder folder;
  std::string path = folder / "plans";
  record(path);
  PlanFileHeader header = PlanRecording(path).header();
  CHECK(header.model == "abc");
  CHECK(header.model_path == kHeader.model_path);
  CHECK(header.num_ranks == 2);
  CHECK(header.num_pages == 77);
  CHECK(header.settings == kHeader.settings);
  Read all = read(path);
  CHECK(all.plans == std::vector<int32_t>{1, 2, 3});
  CHECK(all.tokens == std::vector<std::vector<int32_t>>{{11, 12}});
  CHECK(all.fault.empty());
  PlanRecording recording(path);
  CHECK(recording.next()->plan->encode() == plan_of(1).encode());
}

TEST_CASE("plan file: of a program that was killed all plans are there") {
  TemporaryFolder folder;
  record(folder / "plans", /*ends=*/false);
  Read all = read(folder / "plans.killed");
  CHECK(all.plans == std::vector<int32_t>{1, 2, 3});
  CHECK(all.fault == "has no end: the program was ended in or behind step 3");
  CHECK_FALSE(all.is_torn);
}

TEST_CASE("plan file: whatever is cut off or damaged, what is before it is read") {
  TemporaryFolder folder;
  std::string path = folder / "plans";
  record(path);
  std::string whole = read_file(path);
  Read good = read(path);
  size_t num_torn = 0;
  for (size_t size = 16; size < whole.size(); ++size) {
    write_text(path, whole.substr(0, size));
    std::string message = error_of([&] {
      Read some = read(path);
      CHECK_FALSE(some.fault.empty());
      CHECK(some.plans.size() <= good.plans.size());
      num_torn += some.is_torn;
    });
    CHECK((message.empty() || contains(message, path + ": is cut short at byte 16")));
  }
  CHECK(num_torn > 100);
  for (size_t at = 16; at < whole.size(); at += 3) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    write_text(path, damaged);
    std::string message = error_of([&] {
      Read some = read(path);
      CHECK(some.is_torn);
      CHECK(some.plans.size() < 4);
    });
    CHECK((message.empty() || contains(message, path + ": ")));
  }
}

TEST_CASE("plan file: another file is none, and is not replaced") {
  TemporaryFolder folder;
  std::string path = folder / "a";
  write_text(path, "precious");
  CHECK(error_of([&] { PlanRecording recording(path); }) ==
        path + ": is no recording of plans; record_plan makes one");
  CHECK(contains(error_of([&] { PlanRecorder recorder(path, kHeader); }),
                 "a: exists already and is no recording"));
  CHECK(read_file(path) == "precious");
  CHECK(contains(error_of([&] { PlanRecording recording(folder / "none"); }), "none"));
  CHECK(contains(error_of([&] { PlanRecorder recorder(folder / "no/a", kHeader); }),
                 "No such file or directory; check record_plan"));
  record(folder / "plans");
  record(folder / "plans");  // an older one is
  CHECK(read(folder / "plans").plans.size() == 3);
}

TEST_CASE("plan file: a full disk is told of") {
  if (!fs::exists("/dev/full")) return;
  CHECK(contains(error_of([&] { PlanRecorder recorder("/dev/full", kHeader); }), "/dev/full"));
}

TEST_CASE("plan file: replicas have files of their own") {
  CHECK(recording_of("a", 0) == "a");
  CHECK(recording_of("a", 2) == "a.2");
}
