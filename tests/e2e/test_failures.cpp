// A rank that dies or stops fails the run: soon, with a line that names rank, host and step, and
// without a process left.
#include <doctest/doctest.h>
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <regex>
#include <thread>

#include "tests/e2e/batch.h"

using namespace ll::test;

namespace {

constexpr int kTimeoutSeconds = 2;

// Requests that keep the ranks busy for much longer than a test may take, behind one that is over
// at once: its answer shows that the run is under way.
std::string long_work() {
  std::vector<Json> requests = {completion("first", "The kernel", {{"max_tokens", 2}})};
  for (int i = 0; i < 200; ++i)
    requests.push_back(completion(fmt::format("{}", i), "The kernel",
                                  {{"max_tokens", 3000}, {"ignore_eos", true}, {"seed", i}}));
  return jsonl(requests);
}

struct Busy {
  TempFolder folder;
  Process process;

  // `fault`: as LITELANG_FAULT has it; one that comes at once lets nothing be answered.
  explicit Busy(int np, const std::string& grid = "grid=auto", const std::string& fault = "")
      : process(batch_command({.np = np,
                               .sets = {fmt::format("step_timeout_s={}", kTimeoutSeconds),
                                        "scheduler.max_num_seqs=8", grid}},
                              folder.write("in", long_work()), folder.path("out")),
                {.input = "", .env = {{"LITELANG_FAULT", fault}}}) {
    if (fault.starts_with("load") || fault.starts_with("communicator")) return;
    auto is_under_way = [&] { return !read_file(folder.path("out.partial")).empty(); };
    bool was_in_time = wait_until(is_under_way, std::chrono::seconds(60));
    INFO(process.err_so_far());
    REQUIRE(was_in_time);
  }

  // Ends within its time limit and mpirun's delays, saying one line of this form.
  void check_ends(const std::string& line_form) {
    auto start = std::chrono::steady_clock::now();
    Outcome o = process.wait(std::chrono::seconds(10));
    std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    INFO(o.err);
    CHECK_FALSE(o.timed_out);
    CHECK(o.exit_code != 0);
    CHECK(seconds.count() < 10);
    CHECK(wait_until([&] { return process.family().empty(); }, std::chrono::seconds(5)));
    std::string said;
    int num_lines = 0;
    for (const std::string& line : lines_of(o.err))
      if (line.starts_with("litelang-run: ")) said = line, ++num_lines;
    CHECK(num_lines == 1);
    CAPTURE(line_form);
    CHECK(std::regex_match(said, std::regex("litelang-run: " + line_form)));
  }
};

}  // namespace

TEST_CASE("a killed rank") {
  for (int rank : {0, 2}) {
    CAPTURE(rank);
    Busy busy(3);
    kill(busy.process.rank(rank), SIGKILL);
    busy.check_ends(fmt::format(
        R"(rank {} on \S+ \(CPU.*\): ended in step \d+.*: rank {} \(process \d+\) died)",
        rank == 0 ? 1 : 0, rank));
  }
}

TEST_CASE("a stopped rank") {
  for (int rank : {0, 2}) {
    CAPTURE(rank);
    Busy busy(3);
    kill(busy.process.rank(rank), SIGSTOP);
    busy.check_ends(fmt::format(
        R"(rank [0-2] on \S+ \(CPU.*\): no progress for {} s (in step \d+|while waiting).*; rank {} \(process \d+\) is stopped)",
        kTimeoutSeconds, rank));
  }
}

TEST_CASE("a stopped rank that is a replica of its own") {
  for (int rank : {0, 2}) {
    CAPTURE(rank);
    Busy busy(3, "grid.dp=3");
    kill(busy.process.rank(rank), SIGSTOP);
    std::string who = rank == 0
                          ? R"(rank [12] on \S+ \(CPU.*\), .*: rank 0)"
                          : fmt::format(R"(rank 0 on \S+ \(CPU.*\), .*: rank {} on \S+)", rank);
    busy.check_ends(who +
                    fmt::format(R"( has said nothing for {} s; rank {} \(process \d+\) is stopped)",
                                kTimeoutSeconds + 1, rank));
  }
}

TEST_CASE("an error of the device") {
  for (int rank : {0, 1}) {
    CAPTURE(rank);
    Busy busy(2, "grid=auto", fmt::format("device:{}:5", rank));
    busy.check_ends(fmt::format(
        R"(rank {} on \S+ \(CPU.*\), in step 5: the device failed: a test asked for it)", rank));
  }
}

TEST_CASE("a rank that draws other tokens than the others") {
  Busy busy(2, "grid=auto", "tokens:1:5");
  busy.check_ends(
      R"(rank [01] on \S+ \(CPU.*\), in step \d+.*: the ranks disagree on step 5: rank 1 on \S+ \(CPU.*\) has drawn other tokens than rank 0 .*)");
}

TEST_CASE("a plan that arrives damaged") {
  Busy busy(2, "grid=auto", "plan:1:5");
  busy.check_ends(
      R"(rank 1 on \S+ \(CPU.*\), in step 4.*: the plan of a step arrived damaged: .*)");
}

TEST_CASE("a rank that hangs says so itself, rather than one that waits for it") {
  for (int rank : {0, 1}) {
    CAPTURE(rank);
    Busy busy(2, "grid=auto", fmt::format("hang:{}:5", rank));
    busy.check_ends(fmt::format(R"(rank {} on \S+ \(CPU.*\): no progress for {} s in step 5; .*)",
                                rank, kTimeoutSeconds));
  }
}

TEST_CASE("a rank that hangs or is stopped while it loads") {
  Busy hangs(2, "grid=auto", "load:1:0");
  hangs.check_ends(
      fmt::format(R"(rank 1 on \S+ \(CPU.*\): no progress for {} s while loading weights; .*)",
                  kTimeoutSeconds));
  Busy stopped(2, "grid=auto", "load:1:0");
  auto has_begun = [&] {
    return stopped.process.err_so_far().find("memory of a rank") != std::string::npos;
  };
  REQUIRE(wait_until(has_begun, std::chrono::seconds(30)));
  kill(stopped.process.rank(1), SIGSTOP);
  stopped.check_ends(fmt::format(
      R"(rank 0 on \S+ \(CPU.*\): no progress for {} s while .*; rank 1 \(process \d+\) is stopped)",
      kTimeoutSeconds));
}

// Rank 1 says that it hangs, or rank 0 that waits for it: both name the communicator and its ranks.
TEST_CASE("a communicator that hangs before the first step") {
  Busy busy(2, "grid=auto", "communicator:1:0");
  busy.check_ends(fmt::format(
      R"(rank [01] on \S+ \(CPU.*\): no progress for {} s while trying the \S+ communicator of ranks 0, 1.*)",
      kTimeoutSeconds));
}

TEST_CASE("ranks that are not alike are refused by name") {
  TempFolder folder;
  std::string other = folder.path("litelang-run"), in = folder.write("in", long_work());
  std::string text = read_file(program("litelang-run"));
  size_t at = text.find("litelang {} (");  // of its version
  REQUIRE(at != text.npos);
  text.replace(at, 8, "litelanG");
  folder.write("litelang-run", text);
  std::filesystem::permissions(other, std::filesystem::perms::owner_all);
  auto run_with = [&](const std::string& second, const std::string& setting) {
    auto command = batch_command({.np = 1}, in, folder.path("out"));
    command.insert(command.end(), {":", "-np", "1", second});
    auto more = batch_command({.np = 1, .sets = {setting}}, in, folder.path("out"));
    command.insert(command.end(), std::find(more.begin(), more.end(), "--set"), more.end());
    return run(command);
  };
  Outcome version = run_with(other, "seed=0");
  INFO(version.err);
  CHECK(version.exit_code == 2);
  CHECK(lines_of(version.err).size() == 1);
  CHECK(std::regex_search(
      version.err,
      std::regex(
          R"(litelang-run: rank 1 on \S+ has the program litelanG .*, rank 0 on \S+ has litelang )")));
  Outcome settings = run_with(program("litelang-run"), "seed=5");
  INFO(settings.err);
  CHECK(settings.exit_code == 2);
  CHECK(lines_of(settings.err).size() == 1);
  CHECK(settings.err.find("rank 1 on ") != settings.err.npos);
  CHECK(settings.err.find("has the settings [") != settings.err.npos);
}

TEST_CASE("a cancelled run") {
  for (int signal : {SIGINT, SIGTERM}) {
    CAPTURE(signal);
    Busy busy(2);
    busy.process.signal(signal);
    busy.check_ends(
        R"(rank 0 on \S+ \(CPU.*\): ended in step \d+.*: the job was cancelled, or .*)");
  }
}

// As Ctrl-Z, scontrol suspend and a freezer do: time that all ranks were stopped for is nobody's
// fault.
TEST_CASE("a suspended run goes on when it is continued") {
  Busy busy(2);
  for (int signal : {SIGSTOP, SIGCONT}) {
    for (int rank : {0, 1}) kill(busy.process.rank(rank), signal);
    std::this_thread::sleep_for(std::chrono::seconds(kTimeoutSeconds + 1));
  }
  busy.process.signal(SIGTERM);
  busy.check_ends(R"(rank 0 on \S+ \(CPU.*\): ended in step \d+.*: the job was cancelled, or .*)");
}

TEST_CASE("ranks do not outlive mpirun") {
  Busy busy(2);
  busy.process.signal(SIGKILL);
  CHECK(busy.process.wait(std::chrono::seconds(5)).exit_code == 128 + SIGKILL);
  CHECK(wait_until([&] { return busy.process.family().empty(); }, std::chrono::seconds(5)));
}

TEST_CASE("answers written before a rank died are whole lines") {
  Busy busy(2);
  kill(busy.process.rank(1), SIGKILL);
  busy.process.wait();
  for (const std::string& line : lines_of(read_file(busy.folder.path("out.partial"))))
    CHECK_NOTHROW([&] { return Json::parse(line); }());
}
