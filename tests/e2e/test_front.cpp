// litelang, the program a person types. Where the command matters and not the run, a script takes
// mpirun's place.
#include <doctest/doctest.h>
#include <fmt/core.h>
#include <sys/stat.h>

#include <csignal>

#include "tests/e2e/batch.h"

using namespace ll::test;
using namespace std::string_literals;

namespace {

// A folder with an mpirun that does as told, first on PATH.
class FakeMpirun {
 public:
  explicit FakeMpirun(const std::string& script) {
    chmod(folder_.write("mpirun", "#!/bin/bash\n" + script).c_str(), 0755);
  }
  Process::Options options(const std::string& input = "") const {
    return {.input = input, .env = {{"PATH", folder_.path("") + ":/usr/bin:/bin"}}};
  }

 private:
  TempFolder folder_;
};

std::vector<std::string> batch(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {program("litelang"), "batch"});
  return arguments;
}

}  // namespace

TEST_CASE("help and versions") {
  CHECK(run({program("litelang"), "--help"}).out.find("tokenize") != std::string::npos);
  std::string line = run({program("litelang"), "--version"}).out;
  CHECK(line.starts_with("litelang "));
  CHECK(lines_of(line).size() == 1);
  for (const std::vector<std::string>& command : {std::vector{program("litelang"), "version"s},
                                                  {program("litelang-run"), "--version"},
                                                  {program("litelang-convert"), "--version"}}) {
    Outcome o = run(command);
    INFO(o.out);
    CHECK(o.exit_code == 0);
    CHECK(o.out.starts_with(line));
    CHECK(o.out.find("\nHDF5 ") != std::string::npos);
  }
  // One of the ranks answers, without MPI.
  Outcome ranks = run({"mpirun", "--allow-run-as-root", "--quiet", "--oversubscribe", "-np", "2",
                       program("litelang-run"), "--version"});
  CHECK(ranks.exit_code == 0);
  std::string alone = run({program("litelang-run"), "--version"}).out;
  CHECK(lines_of(ranks.out).size() == lines_of(alone).size());
  CHECK(ranks.out.find("\nMPI ") != std::string::npos);
  check_usage({program("litelang"), "version", "-m"}, "takes no arguments");
  for (std::string command : {"batch", "convert", "tokenize"}) {
    CAPTURE(command);
    Outcome o = run({program("litelang"), command, "--help"});
    CHECK(o.exit_code == 0);
    CHECK(o.err.empty());
    CHECK(o.out.find("Usage: litelang") != std::string::npos);
  }
  check_usage({program("litelang")}, "COMMAND is missing");
  check_usage({program("litelang"), "btach"}, "did you mean batch?");
}

TEST_CASE("batch runs a model on tensor-parallel ranks") {
  TempFolder folder;
  std::string text = jsonl({completion("a", "The kernel", {{"temperature", 0}})});
  std::string in = folder.write("in.jsonl", text), out = folder.path("out.jsonl");
  Outcome o = run(batch({"-m", model_file("tiny-qwen2-docs"), "-i", in, "-o", out, "--tp", "2",
                         "--max-batch-size=4", "--set", "threads=1", "--backend", "cpu"}));
  INFO(o.err);
  CHECK(o.exit_code == 0);
  CHECK(o.err.find("2 ranks") != std::string::npos);
  CHECK(read_file(out).find("is not aware of the fact") != std::string::npos);

  Outcome piped = run(batch({"-m", model_file("tiny-qwen2-docs"), "-i", "-", "-o", "-"}),
                      {.input = text, .env = {}});
  CHECK(piped.exit_code == 0);
  CHECK(piped.out.find("is not aware of the fact") != std::string::npos);
}

TEST_CASE("batch takes its ranks and keys from options, configuration and --set") {
  TempFolder folder;
  std::string config = folder.write("job.yaml",
                                    "model: {path: m.h5}\njob: {input: i, output: o}\n"
                                    "grid: {y: 3}\nscheduler: {max_num_seqs: 5}\n");
  auto command = [&](std::vector<std::string> arguments) {
    arguments.emplace_back("--print_command");
    Outcome o = run(batch(arguments));
    INFO(o.err);
    CHECK(o.exit_code == 0);
    return o.out;
  };
  auto has = [](const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  };
  std::string of_file = command({"--config", config});
  CHECK(has(of_file, "-np 3 "));
  CHECK(has(of_file, "--oversubscribe --bind-to none"));
  CHECK(has(of_file, "/litelang-run " + config + "\n"));
  CHECK(has(of_file, "--allow-run-as-root") == (geteuid() == 0));
  CHECK(has(command({"--config", config, "--tp", "4"}), "-np 4 "));
  CHECK(has(command({"--config", config, "--tp", "4", "--set", "grid.y=1"}), "-np 1 "));
  CHECK(has(command({"--config", config, "--set", "grid.z=2"}), "-np 6 "));
  std::string of_options =
      command({"--model_path", "a b.h5", "-i", "in", "-o", "-", "--max-batch-size", "7",
               "--max_input_length=8", "--use-radix-cache", "false", "--busy_scale", "0.25"});
  CHECK(has(of_options, "-np 1 "));
  CHECK(has(of_options, "--set 'model.path=a b.h5'"));
  for (const char* set :
       {"job.input=in", "job.output=-", "scheduler.max_num_seqs=7", "scheduler.max_input_length=8",
        "kv_cache.radix=false", "scheduler.busy_scale=0.25"})
    CHECK(has(of_options, std::string("--set ") + set));
}

TEST_CASE("batch refuses what it does not understand before it starts anything") {
  check_usage(batch({}), "model.path is missing");
  check_usage(batch({"-m", "x", "--tp", "0"}), "grid.y: 0 is outside 1 to");
  check_usage(batch({"-m", "x", "--max_batch_size", "many"}), "scheduler.max_num_seqs: 'many'");
  check_usage(batch({"-m", "x", "--set", "model.pth=y"}), "did you mean model.path?");
  check_usage(batch({"--config", "nowhere.yaml"}), "nowhere.yaml: cannot read");
  check_usage(batch({"-m", "x", "--tpp", "2"}), "--tpp");
}

TEST_CASE("a missing mpirun is said") {
  Outcome o =
      run(batch({"-m", "x", "-i", "i", "-o", "o"}), {.input = "", .env = {{"PATH", "/nowhere"}}});
  CHECK(o.exit_code == 1);
  CHECK(lines_of(o.err).size() == 1);
  CHECK(o.err.starts_with("litelang: mpirun: not found on PATH; install Open MPI"));
}

TEST_CASE("exit codes come back") {
  for (int code : {0, 1, 2, 75}) {
    FakeMpirun mpirun(fmt::format("exit {}", code));
    CHECK(run(batch({"-m", "x", "-i", "i", "-o", "o"}), mpirun.options()).exit_code == code);
  }
  FakeMpirun dying("kill -SEGV $$");
  Outcome died = run(batch({"-m", "x", "-i", "i", "-o", "o"}), dying.options());
  CHECK(died.exit_code == 1);
  CHECK(died.err.find("ended by signal 11 (Segmentation fault)") != died.err.npos);
  FakeMpirun refusing("exit 213");
  CHECK(run(batch({"-m", "x", "-i", "i", "-o", "o"}), refusing.options()).exit_code == 1);
}

TEST_CASE("standard input goes to the ranks only when it is the job's input") {
  FakeMpirun mpirun("cat");
  CHECK(run(batch({"-m", "x", "-i", "-", "-o", "o"}), mpirun.options("text")).out == "text");
  CHECK(run(batch({"-m", "x", "-i", "i", "-o", "o"}), mpirun.options("text")).out == "");
}

TEST_CASE("an input that is an open descriptor reaches the ranks by whatever name") {
  FakeMpirun mpirun("cat; echo \"$@\"");
  for (const char* name : {"/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"}) {
    CAPTURE(name);
    Outcome o = run(batch({"-m", "x", "-i", name, "-o", "o"}), mpirun.options("text "));
    CHECK(o.out.starts_with("text "));
    CHECK(o.out.ends_with("--set job.input=-\n"));
  }
  std::string front = program("litelang") + " batch -m x";
  Outcome o = run({"bash", "-c", front + " -i <(echo piped) -o o"}, mpirun.options());
  CHECK(o.out.starts_with("piped\n"));
  Outcome closed = run(batch({"-m", "x", "-i", "/dev/fd/77", "-o", "o"}), mpirun.options());
  CHECK(closed.exit_code == 1);
  CHECK(closed.err.find("/dev/fd/77: cannot open: Bad file descriptor") != closed.err.npos);
  FakeMpirun answering("echo answer > $LITELANG_STANDARD_OUTPUT; echo \"$@\"");
  for (const char* name : {"-", "/dev/stdout", "/dev/fd/1"}) {
    CAPTURE(name);
    Outcome output = run(batch({"-m", "x", "-i", "i", "-o", name}), answering.options());
    CHECK(output.exit_code == 0);
    CHECK(output.out.find("answer\n") != output.out.npos);
    CHECK(output.out.find("--set job.output=-\n") != output.out.npos);
  }
}

TEST_CASE("signals go on to mpirun") {
  FakeMpirun mpirun(
      "for s in INT TERM HUP USR1 USR2; do trap \"echo $s; last=$s\" $s; done\n"
      "echo ready\n"
      "while [ \"$last\" != TERM ]; do sleep 0.02; done\n"
      "exit 75\n");
  Process process(batch({"-m", "x", "-i", "i", "-o", "o"}), mpirun.options());
  std::string seen = "ready\n";
  auto shows = [&] {
    return wait_until([&] { return process.out_so_far() == seen; }, std::chrono::seconds(10));
  };
  REQUIRE(shows());
  for (auto [signal, name] :
       {std::pair(SIGUSR1, "USR1"), std::pair(SIGUSR2, "USR2"), std::pair(SIGHUP, "HUP"),
        std::pair(SIGINT, "INT"), std::pair(SIGTERM, "USR1"), std::pair(SIGTERM, "TERM")}) {
    process.signal(signal);
    seen += std::string(name) + "\n";
    CHECK(shows());
  }
  CHECK(process.wait().exit_code == 75);
}

TEST_CASE("a rank that mpirun starts when it was told to end is told, too") {
  FakeMpirun mpirun(
      "trap told=1 USR1\n"
      "echo ready\n"
      "until [ $told ]; do sleep 0.02; done\n"
      "while [[ $1 != */litelang-run ]]; do shift; done\n"
      "\"$@\"\n");
  Process process({program("litelang"), "serve", "-m", model_file("tiny-qwen2-docs"), "--port", "0",
                   "--backend", "cpu", "--set", "threads=1", "--set", "kv_cache.memory_bytes=40MB"},
                  mpirun.options());
  REQUIRE(wait_until([&] { return process.out_so_far() == "ready\n"; }, std::chrono::seconds(10)));
  process.signal(SIGTERM);
  Outcome o = process.wait(std::chrono::seconds(20));
  INFO(o.err);
  CHECK_FALSE(o.timed_out);
  CHECK(o.exit_code <= 1);  // it was told before it listened, or later
}

TEST_CASE("a real run that is told to end ends, and so do its ranks when the front is killed") {
  for (int signal : {SIGTERM, SIGKILL}) {
    CAPTURE(signal);
    TempFolder folder;
    std::vector<Json> requests = {completion("first", "The kernel", {{"max_tokens", 2}})};
    for (int i = 0; i < 100; ++i)
      requests.push_back(completion(fmt::format("{}", i), "Git is a",
                                    {{"max_tokens", 3000}, {"ignore_eos", true}}));
    Process process(batch({"-m", model_file("tiny-qwen2-docs"), "-i",
                           folder.write("in", jsonl(requests)), "-o", folder.path("out"), "--tp",
                           "2", "--set", "threads=1", "--set", "kv_cache.memory_bytes=40MB"}));
    REQUIRE(wait_until([&] { return !read_file(folder.path("out.partial")).empty(); },
                       std::chrono::seconds(30)));
    process.signal(signal);
    Outcome o = process.wait(std::chrono::seconds(10));
    CHECK_FALSE(o.timed_out);
    CHECK(o.exit_code != 0);
    CHECK(wait_until([&] { return process.family().empty(); }, std::chrono::seconds(10)));
  }
}

TEST_CASE("convert passes everything on") {
  Outcome o = run({program("litelang"), "convert", "--no-such-option", "a", "b"});
  CHECK(o.exit_code == 2);
  CHECK(o.err.starts_with("litelang-convert: "));
  Outcome missing = run({program("litelang"), "convert", "/nowhere", "/tmp/none.h5"});
  CHECK(missing.exit_code == 1);
  CHECK(lines_of(missing.err).size() == 1);
}
