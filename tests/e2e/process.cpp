#include "tests/e2e/process.h"
#include "tests/support/test_paths.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>

extern char** environ;

namespace ll::test {
namespace {

constexpr const char* kMark = "LITELANG_TEST_PROCESS=";

std::vector<std::string> strings_of(const std::string& zero_separated) {
  std::vector<std::string> strings;
  std::stringstream in(zero_separated);
  for (std::string text; std::getline(in, text, '\0');) strings.push_back(text);
  return strings;
}

// What /proc/PID/stat says behind the name.
struct ProcessState {
  char state = 'X';
  pid_t parent = -1;
};

ProcessState state_of(pid_t pid) {
  std::string stat = read_file(fmt::format("/proc/{}/stat", pid));
  ProcessState process;
  size_t end = stat.rfind(')');
  if (end != stat.npos) std::stringstream(stat.substr(end + 1)) >> process.state >> process.parent;
  return process;
}

bool is_zombie(pid_t pid) {
  char state = state_of(pid).state;
  return state == 'Z' || state == 'X';
}

std::vector<std::string> environment(const std::map<std::string, std::string>& more,
                                     const std::string& mark) {
  std::vector<std::string> strings;
  for (char** entry = environ; *entry; ++entry) {
    std::string text = *entry;
    if (!more.contains(text.substr(0, text.find('=')))) strings.push_back(text);
  }
  for (const auto& [name, value] : more) strings.push_back(name + "=" + value);
  strings.push_back("HWLOC_HIDE_ERRORS=2");  // containers may lack /sys
  strings.push_back(mark);
  return strings;
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> all;
  for (std::string& text : strings) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

}  // namespace

TempFolder::TempFolder() {
  std::string name = std::filesystem::temp_directory_path() / "litelang-test-XXXXXX";
  if (!mkdtemp(name.data())) throw std::runtime_error("no temporary folder");
  folder_ = name;
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

std::string TempFolder::write(const std::string& name, const std::string& text) const {
  std::ofstream(path(name), std::ios::binary) << text;
  return path(name);
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::stringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

Process::Process(const std::vector<std::string>& command, const Options& options)
    : start_(std::chrono::steady_clock::now()) {
  static std::atomic<int> count = 0;
  mark_ = fmt::format("{}{}-{}", kMark, getpid(), ++count);
  std::string in = folder_.write("in", options.input), out = folder_.path("out"),
              err = folder_.path("err");
  auto words = command, env = environment(options.env, mark_);
  auto argv = pointers(words), envp = pointers(env);
  pid_ = fork();
  if (pid_ != 0) return;
  dup2(open(in.c_str(), O_RDONLY), STDIN_FILENO);
  dup2(open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), STDOUT_FILENO);
  dup2(open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600), STDERR_FILENO);
  setpgid(0, 0);
  environ = envp.data();
  execvp(argv[0], argv.data());
  _exit(127);
}

Process::~Process() {
  for (pid_t pid : family()) kill(pid, SIGKILL);
  if (pid_ > 0) waitpid(pid_, nullptr, 0);
}

void Process::signal(int signal) const { kill(pid_, signal); }

std::vector<pid_t> Process::family() const {
  std::vector<pid_t> pids;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    pid_t pid = std::atoi(entry.path().filename().c_str());
    if (pid <= 0 || is_zombie(pid)) continue;
    for (const std::string& text : strings_of(read_file(entry.path() / "environ")))
      if (text == mark_) pids.push_back(pid);
  }
  return pids;
}

pid_t Process::rank(int rank) const {
  for (pid_t pid : family())
    for (const std::string& text : strings_of(read_file(fmt::format("/proc/{}/environ", pid))))
      if (text == fmt::format("OMPI_COMM_WORLD_RANK={}", rank)) return pid;
  return -1;
}

bool Process::signal_until_gone(int rank, int signal, std::chrono::seconds limit) const {
  auto is_gone = [&] {
    pid_t pid = this->rank(rank);
    if (pid > 0) kill(pid, signal);
    return pid < 0;
  };
  return wait_until(is_gone, limit);
}

Outcome Process::wait(std::chrono::seconds limit) {
  Outcome outcome;
  int status = 0;
  auto has_ended = [&] { return waitpid(pid_, &status, WNOHANG) == pid_; };
  outcome.timed_out = !wait_until(has_ended, limit);
  if (!outcome.timed_out) {
    pid_ = -1;
    outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  outcome.seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  outcome.out = out_so_far();
  outcome.err = err_so_far();
  return outcome;
}

pid_t parent_of(pid_t pid) { return state_of(pid).parent; }

Outcome run(const std::vector<std::string>& command, const Process::Options& options) {
  return Process(command, options).wait();
}

void check_usage(const std::vector<std::string>& command, const std::string& part) {
  Outcome o = run(command);
  INFO(o.err);
  CAPTURE(part);
  CHECK(o.exit_code == 2);
  CHECK(lines_of(o.err).size() == 1);
  CHECK(o.err.starts_with("litelang: "));
  CHECK(o.err.find(part) != std::string::npos);
}

std::string program(const std::string& name) { return std::string(LITELANG_PROGRAMS) + "/" + name; }

std::string model_folder(const std::string& name) { return data_path("models/" + name); }

std::string model_file(const std::string& name) {
  return std::string(LITELANG_TEST_MODELS) + "/" + name + ".h5";
}

}  // namespace ll::test
