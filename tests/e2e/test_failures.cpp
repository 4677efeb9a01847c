// A rank that dies or stops fails the run: soon, with a line that names rank, host and step, and
// without a process left.
#include <doctest/doctest.h>
#include <fmt/core.h>

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

  explicit Busy(int np, const std::string& grid = "grid=auto")
      : process(batch_command({.np = np,
                               .sets = {fmt::format("step_timeout_s={}", kTimeoutSeconds),
                                        "scheduler.max_num_seqs=8", grid}},
                              folder.write("in", long_work()), folder.path("out"))) {
    REQUIRE(wait_until([&] { return !read_file(folder.path("out.partial")).empty(); },
                       std::chrono::seconds(30)));
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
  for (int rank : {0, 1, 2}) {
    CAPTURE(rank);
    Busy busy(3);
    kill(busy.process.rank(rank), SIGKILL);
    busy.check_ends(
        fmt::format(R"(rank {} on \S+: ended in step \d+.*: rank {} \(process \d+\) died)",
                    rank == 0 ? 1 : 0, rank));
  }
}

TEST_CASE("a stopped rank") {
  for (int rank : {0, 1, 2}) {
    CAPTURE(rank);
    Busy busy(3);
    kill(busy.process.rank(rank), SIGSTOP);
    busy.check_ends(fmt::format(
        R"(rank [0-2] on \S+: no progress for {} s (in step \d+|while waiting).*; rank {} \(process \d+\) is stopped)",
        kTimeoutSeconds, rank));
  }
}

TEST_CASE("a stopped rank that is a replica of its own") {
  for (int rank : {0, 1, 2}) {
    CAPTURE(rank);
    Busy busy(3, "grid.dp=3");
    kill(busy.process.rank(rank), SIGSTOP);
    std::string who =
        rank == 0 ? R"(rank [12] on \S+: rank 0)" : fmt::format(R"(rank {} on \S+)", rank);
    busy.check_ends(who +
                    fmt::format(R"( has said nothing for {} s; rank {} \(process \d+\) is stopped)",
                                kTimeoutSeconds + 1, rank));
  }
}

TEST_CASE("a cancelled run") {
  for (int signal : {SIGINT, SIGTERM}) {
    CAPTURE(signal);
    Busy busy(2);
    busy.process.signal(signal);
    busy.check_ends(R"(rank 0 on \S+: ended in step \d+.*: the job was cancelled, or .*)");
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
  busy.check_ends(R"(rank 0 on \S+: ended in step \d+.*: the job was cancelled, or .*)");
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
