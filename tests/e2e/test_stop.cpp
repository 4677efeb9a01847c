// A batch that is asked to stop ends in time, with exit code 75, and is gone on with.
#include <doctest/doctest.h>
#include <fmt/core.h>

#include <algorithm>
#include <csignal>
#include <regex>

#include "tests/e2e/batch.h"

using namespace ll::test;

namespace {

constexpr int kResumable = 75;

struct StoppedJob : BatchFiles {
  using BatchFiles::BatchFiles;
  std::vector<std::string> command(int np, std::vector<std::string> sets = {}) const {
    sets.insert(sets.begin(), {"kv_cache.radix=false", "scheduler.max_num_seqs=8"});
    return BatchFiles::command({.np = np, .sets = sets});
  }
  size_t num_answered() const { return lines_of(read_file(partial)).size(); }
  bool gets_answers(size_t more) const {
    size_t before = num_answered();
    return wait_until([&] { return num_answered() >= before + more; }, std::chrono::seconds(60));
  }
};

int number_in(const std::string& text, const std::string& form) {
  std::smatch found;
  bool is_there = std::regex_search(text, found, std::regex(form));
  INFO(text);
  CAPTURE(form);
  REQUIRE(is_there);
  return std::stoi(found[1]);
}

// How a life ended that was to be stopped; returns the tokens it threw away.
int check_stopped(const StoppedJob& job, Process& process, const std::string& reason, int count) {
  Outcome o = process.wait(std::chrono::seconds(60));
  INFO(o.err);
  CHECK_FALSE(o.timed_out);
  CHECK(o.exit_code == kResumable);
  CHECK(wait_until([&] { return process.family().empty(); }, std::chrono::seconds(5)));
  CHECK_FALSE(std::filesystem::exists(job.out));
  int answered = number_in(
      o.err,
      fmt::format("litelang-run: {}: (\\d+) of {} answered; run again to go on", reason, count));
  CHECK(job.num_answered() == static_cast<size_t>(answered));
  return number_in(o.err, R"(given back +\d+ requests, (\d+) of their tokens)");
}

}  // namespace

TEST_CASE("lives of one job, each stopped in another way, answer it as one does") {
  constexpr int kRequests = 300, kTokens = 30;
  StoppedJob whole(full_length_requests(kRequests, kTokens)),
      job(full_length_requests(kRequests, kTokens));
  REQUIRE(run(whole.command(2), kSameBytes).exit_code == 0);
  int lost = 0;
  for (int rank : {0, 1}) {
    int signal = rank == 0 ? SIGUSR1 : SIGTERM;
    Process process(job.command(2), kSameBytes);
    REQUIRE(job.gets_answers(10));
    kill(process.rank(rank), signal);
    lost += check_stopped(job, process, rank == 0 ? "SIGUSR1 came" : "SIGTERM came", kRequests);
  }
  {
    Process mpirun(job.command(2), kSameBytes);
    REQUIRE(job.gets_answers(10));
    mpirun.signal(SIGUSR1);
    lost += check_stopped(job, mpirun, "SIGUSR1 came", kRequests);
  }
  {
    Process process({program("litelang"),
                     "batch",
                     "-m",
                     model_file("tiny-qwen2-docs"),
                     "-i",
                     job.in,
                     "-o",
                     job.out,
                     "--tp",
                     "2",
                     "--dtype",
                     "float32",
                     "--set",
                     "threads=1",
                     "--set",
                     "kv_cache.memory_bytes=40MB",
                     "--set",
                     "kv_cache.radix=false",
                     "--set",
                     "scheduler.max_num_seqs=8"},
                    kSameBytes);
    REQUIRE(job.gets_answers(10));
    process.signal(SIGTERM);
    CHECK(process.signal_until_gone(1, SIGUSR1, std::chrono::seconds(60)));
    lost += check_stopped(job, process, "SIGUSR1 came", kRequests);
  }
  REQUIRE(run(job.command(2), kSameBytes).exit_code == 0);
  CHECK(job.sorted(job.out) == whole.sorted(whole.out));
  double share = 100.0 * lost / (kRequests * kTokens);
  fmt::print("five lives, {} requests: {} of {} tokens were thrown away ({:.2f}%)\n", kRequests,
             lost, kRequests * kTokens, share);
  CHECK(share < 2);
}

TEST_CASE("what does not end in time is given back at once") {
  StoppedJob job(full_length_requests(1, 2) + full_length_requests(50, 3000));
  Process process(job.command(1, {"job.grace=3"}), kSameBytes);
  REQUIRE(job.gets_answers(1));
  std::this_thread::sleep_for(std::chrono::seconds(1));
  process.signal(SIGUSR1);
  auto start = std::chrono::steady_clock::now();
  check_stopped(job, process, "SIGUSR1 came", 51);
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(6));
}

TEST_CASE("a stop that leaves nothing to be asked is an end") {
  StoppedJob job(full_length_requests(1, 2) + full_length_requests(2, 1500));
  Process process(job.command(1, {"job.grace=100"}), kSameBytes);
  REQUIRE(job.gets_answers(1));
  std::this_thread::sleep_for(std::chrono::milliseconds(700));
  process.signal(SIGUSR1);
  Outcome o = process.wait(std::chrono::seconds(60));
  INFO(o.err);
  CHECK(o.exit_code == 0);
  CHECK(o.err.find("run again") == o.err.npos);
  CHECK(lines_of(read_file(job.out)).size() == 3);
}

TEST_CASE("the user's time, and an output that cannot be gone on with") {
  StoppedJob job(full_length_requests(20, 3000));
  Process process(job.command(1, {"job.stop_after=2", "job.grace=0"}), kSameBytes);
  check_stopped(job, process, "job.stop_after = 2 s is over", 20);

  auto command = job.command(1, {"job.output=-", "job.stop_after=1", "job.grace=0"});
  Outcome o = run(command, kSameBytes);
  INFO(o.err);
  CHECK(o.exit_code == 1);
  CHECK(o.err.find("answered; this input and output cannot be gone on with") != o.err.npos);
}
