// What surrounds a job: the processors its caller has, launchers, standard output, readers that are
// slow or gone.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <map>
#include <regex>

#include "tests/e2e/batch.h"

using namespace ll::test;

namespace {

const std::string kModel = model_file("tiny-qwen2-docs");

std::string requests_with(int count, const Json& fields) {
  std::vector<Json> lines;
  for (int i = 0; i < count; ++i)
    lines.push_back(completion(fmt::format("r{}", i), "The kernel", fields));
  return jsonl(lines);
}

// The front's command as a word for a shell.
std::string front(const std::string& input, const std::string& more = "") {
  return fmt::format("'{}' batch -m '{}' --backend cpu --set kv_cache.memory_bytes=40MB -i '{}' {}",
                     program("litelang"), kModel, input, more);
}

Outcome shell(const std::string& line, const std::map<std::string, std::string>& env = {}) {
  return run({"bash", "-c", line}, {.input = "", .env = env});
}

int threads_of(const Outcome& o) {
  std::smatch found;
  return std::regex_search(o.err, found, std::regex("CPU, (\\d+) thread")) ? std::stoi(found[1])
                                                                           : -1;
}

int num_processors() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

int64_t num_json_lines(const std::string& text) {
  auto lines = lines_of(text);
  return std::count_if(lines.begin(), lines.end(),
                       [](const std::string& line) { return Json::accept(line); });
}

}  // namespace

TEST_CASE("threads: 0 means the processors that this process may use") {
  TempFolder folder;
  std::string in = folder.write("in", requests_with(1, {{"max_tokens", 1}}));
  auto threads = [&](const std::string& before, const std::string& more,
                     const std::map<std::string, std::string>& env = {}) {
    std::string out = folder.path("out");
    std::filesystem::remove(out);
    Outcome o = shell(before + front(in, "-o '" + out + "' " + more), env);
    INFO(o.err);
    CHECK(o.exit_code == 0);
    return threads_of(o);
  };
  CHECK(threads("", "") == num_processors());
  CHECK(threads("taskset -c 0 ", "") == 1);
  CHECK(threads("taskset -c 0 ", "--tp 2") == 1);
  CHECK(threads("", "--tp 2") == std::max(1, num_processors() / 2));
  CHECK(threads("", "", {{"SLURM_CPUS_PER_TASK", "1"}}) == 1);
  CHECK(threads("", "", {{"OMP_NUM_THREADS", "1"}}) == 1);
  CHECK(threads("", "--set threads=3", {{"OMP_NUM_THREADS", "1"}}) == 3);
}

// mpirun gives each rank a processor if nobody says how, and may give it one that its own caller
// kept it from.
TEST_CASE("what mpirun binds by itself is no choice of the user's") {
  TempFolder folder;
  std::string in = folder.write("in", requests_with(1, {{"max_tokens", 1}}));
  auto threads = [&](const std::string& before, const std::string& binding) {
    std::string out = folder.path("out");
    std::filesystem::remove(out);
    Outcome o = shell(fmt::format(
        "{} mpirun --allow-run-as-root --oversubscribe {} -np 1 '{}' --set model.path='{}' --set "
        "backend=cpu --set job.input='{}' --set job.output='{}'",
        before, binding, program("litelang-run"), kModel, in, out));
    INFO(o.err);
    CHECK(o.exit_code == 0);
    return threads_of(o);
  };
  CHECK(threads("", "") == num_processors());
  CHECK(threads("", "--bind-to core") == 1);
  CHECK(threads("taskset -c 0", "") == 1);
}

// As services and containers have them: a number, nothing else.
TEST_CASE("a user whom the system does not know, and who has no home, runs jobs") {
  TempFolder folder;
  std::string before =
      fmt::format("unshare --user --map-user=54321 env -u HOME TMPDIR='{}' ", folder.path(""));
  if (shell(before + "true").exit_code != 0) {
    MESSAGE("skipped: no user namespaces here");
    return;
  }
  std::string in = folder.write("in", full_length_requests(1, 1));
  std::string rank = fmt::format(
      "'{}' --set model.path='{}' --set backend=cpu --set kv_cache.memory_bytes=40MB --set "
      "job.input='{}' --set job.output='{}'",
      program("litelang-run"), kModel, in, folder.path("of_one"));
  for (const std::string& line : {front(in, "--tp 2 -o '" + folder.path("of_two") + "'"), rank}) {
    Outcome o = shell(before + line);
    INFO(o.err);
    CHECK(o.exit_code == 0);
  }
  CHECK(num_json_lines(read_file(folder.path("of_two"))) == 1);
  CHECK(num_json_lines(read_file(folder.path("of_one"))) == 1);
}

TEST_CASE("tasks that were started without MPI's help are told what to type") {
  TempFolder folder;
  std::vector<std::string> command = {program("litelang-run"),
                                      "--set",
                                      "model.path=" + kModel,
                                      "--set",
                                      "job.input=/dev/null",
                                      "--set",
                                      "job.output=" + folder.path("out")};
  for (std::string index : {"0", "1"}) {
    Outcome o = run(command,
                    {.input = "", .env = {{"SLURM_STEP_NUM_TASKS", "2"}, {"SLURM_PROCID", index}}});
    CHECK(o.exit_code == 2);
    CHECK(lines_of(o.err).size() == (index == "0" ? 1u : 0u));
    CHECK((o.err.find("srun --mpi=pmix -n 2") != o.err.npos) == (index == "0"));
  }
  CHECK_FALSE(std::filesystem::exists(folder.path("out")));
  Outcome alone = run(command, {.input = "", .env = {{"SLURM_NTASKS", "4"}}});
  CHECK(alone.exit_code == 0);
  CHECK(alone.err.starts_with("litelang-run: one rank in an allocation of 4 tasks"));
}

TEST_CASE("answers on standard output are written, or the job fails") {
  TempFolder folder;
  std::string in =
      folder.write("in", requests_with(40, {{"max_tokens", 40}, {"ignore_eos", true}}));
  Outcome good = shell(front(in, "-o -"));
  CHECK(good.exit_code == 0);
  CHECK(num_json_lines(good.out) == 40);

  Outcome full = shell(front(in, "-o - > /dev/full"));
  CHECK(full.exit_code == 1);
  CHECK(full.err.find("litelang: standard output: cannot write: No space left") != full.err.npos);
  Outcome closed = shell(front(in, "-o - >&-"));
  CHECK(closed.exit_code == 1);
  CHECK(closed.err.find("standard output: cannot open: Bad file descriptor") != closed.err.npos);

  // Between other lines of the same file, each in its place.
  Outcome among = shell(
      fmt::format("(echo before; {}; echo after) > '{}'", front(in, "-o -"), folder.path("all")));
  auto lines = lines_of(read_file(folder.path("all")));
  REQUIRE(lines.size() == 42);
  CHECK(lines.front() == "before");
  CHECK(lines.back() == "after");

  Outcome other = shell(front(in, "-o >(cat > '" + folder.path("other") + "')"));
  CHECK(other.exit_code == 0);
  auto is_there = [&] { return num_json_lines(read_file(folder.path("other"))) == 40; };
  CHECK(wait_until(is_there, std::chrono::seconds(10)));
}

TEST_CASE("a reader that has read enough ends the job quietly") {
  TempFolder folder;
  std::string in = folder.write("in", requests_with(300, {{"max_tokens", 40}, {"logprobs", 5}}));
  Outcome o = shell("set -o pipefail; " + front(in, "-o -") + " | head -1");
  INFO(o.err);
  CHECK(o.exit_code == 1);
  CHECK(num_json_lines(o.out) == 1);
  CHECK(o.err.find("litelang-run:") == o.err.npos);
  CHECK(o.err.find("litelang: standard") == o.err.npos);
}

TEST_CASE("a reader that pauses for longer than a step may take holds the job up, no more") {
  for (int np : {1, 2}) {
    CAPTURE(np);
    TempFolder folder;
    std::string in = folder.write("in", requests_with(60, {{"max_tokens", 100}, {"logprobs", 20}})),
                out = folder.path("out");
    REQUIRE(mkfifo(out.c_str(), 0600) == 0);
    int reader = open(out.c_str(), O_RDONLY | O_NONBLOCK);
    REQUIRE(reader >= 0);
    Process process(batch_command({.np = np, .sets = {"step_timeout_s=1"}}, in, out));
    std::this_thread::sleep_for(std::chrono::seconds(5));
    std::string text, buffer(1 << 16, '\0');
    auto read_all = [&] {
      for (ssize_t n; (n = read(reader, buffer.data(), buffer.size())) > 0;)
        text.append(buffer, 0, static_cast<size_t>(n));
      return num_json_lines(text) == 60;
    };
    CHECK(wait_until(read_all, std::chrono::seconds(60)));
    close(reader);
    Outcome o = process.wait();
    INFO(o.err);
    CHECK(o.exit_code == 0);
  }
}

TEST_CASE("a configuration that can be read only once reaches the ranks") {
  TempFolder folder;
  std::string in = folder.write("in", requests_with(1, {{"max_tokens", 1}}));
  Outcome o = shell(front(in, "-o - --tp 2 --config <(echo 'scheduler: {max_num_seqs: 3}')"));
  INFO(o.err);
  CHECK(o.exit_code == 0);
  CHECK(num_json_lines(o.out) == 1);
  Outcome bad = shell(front(in, "-o - --config <(echo 'threadz: 3')"));
  CHECK(bad.exit_code == 2);
  CHECK(bad.err.find("did you mean threads?") != bad.err.npos);
}

TEST_CASE("the front says which signal ended a rank, and keeps to its exit codes") {
  TempFolder folder;
  std::string in =
      folder.write("in", requests_with(100, {{"max_tokens", 3000}, {"ignore_eos", true}}));
  for (int np : {1, 2}) {
    CAPTURE(np);
    std::string out = folder.path(fmt::format("out{}", np));
    Process process({program("litelang"), "batch", "-m", kModel, "--backend", "cpu", "-i", in, "-o",
                     out, "--tp", std::to_string(np), "--set", "threads=1", "--set",
                     "kv_cache.memory_bytes=40MB"});
    auto runs = [&] { return process.err_so_far().find("memory of a rank") != std::string::npos; };
    REQUIRE(wait_until(runs, std::chrono::seconds(30)));
    kill(process.rank(np - 1), SIGKILL);
    Outcome o = process.wait();
    INFO(o.err);
    CHECK(o.exit_code == 1);
    CHECK(o.err.find("was ended by signal 9 (Killed)") != o.err.npos);
  }
}
