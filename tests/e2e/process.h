#pragma once
// A program under test, as a user starts it: its streams in files, a time limit on everything.
#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "tests/support/read_file.h"
#include "tests/support/wait_until.h"

namespace ll::test {

// A folder of the test's own, gone with it.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  std::string path(const std::string& name) const { return folder_ / name; }
  // Writes a file; returns its path.
  std::string write(const std::string& name, const std::string& text) const;

 private:
  std::filesystem::path folder_;
};

std::vector<std::string> lines_of(const std::string& text);

struct Outcome {
  int exit_code = -1;  // 128 + signal when a signal ended it
  bool timed_out = false;
  double seconds = 0;
  std::string out, err;
};

class Process {
 public:
  struct Options {
    std::string input;                       // of standard input
    std::map<std::string, std::string> env;  // besides this process's
  };
  Process(const std::vector<std::string>& command, const Options& options);
  explicit Process(const std::vector<std::string>& command) : Process(command, Options{}) {}
  // Ends what still runs of it.
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void signal(int signal) const;
  std::string err_so_far() const { return read_file(folder_.path("err")); }
  std::string out_so_far() const { return read_file(folder_.path("out")); }

  // The processes of this program and of all it started that are alive, zombies excluded.
  std::vector<pid_t> family() const;
  // The MPI rank among them; -1 when there is none.
  pid_t rank(int rank) const;
  // Sends a signal to the rank again and again; whether it is gone in time.
  bool signal_until_gone(int rank, int signal, std::chrono::seconds limit) const;

  Outcome wait(std::chrono::seconds limit = std::chrono::seconds(180));

 private:
  TempFolder folder_;
  std::string mark_;  // in the environment of all it starts
  pid_t pid_ = -1;
  std::chrono::steady_clock::time_point start_;
};

pid_t parent_of(pid_t pid);

Outcome run(const std::vector<std::string>& command, const Process::Options& options = {});

// litelang refuses a command line with one line that has `part`.
void check_usage(const std::vector<std::string>& command, const std::string& part);

// litelang-run and its fellows, as built.
std::string program(const std::string& name);
// tests/data/models/NAME, and the weight file made of it (by the test of conversion).
std::string model_folder(const std::string& name);
std::string model_file(const std::string& name);

}  // namespace ll::test
