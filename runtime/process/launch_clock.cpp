#include "runtime/process/launch_clock.h"

#include <fmt/core.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <sstream>
#include <string>

namespace ll {
namespace {

// Open MPI's mpirun under its names, and the front.
constexpr std::array kLaunchers = {"mpirun", "mpiexec", "orterun", "prterun", "litelang"};

struct ProcessInfo {
  std::string name;
  int parent = 0;
  double start_s = 0;  // since the machine was booted
};

// proc_pid_stat(5); a process that is gone has no name.
ProcessInfo process_info(int pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string text;
  std::getline(file, text);
  size_t open = text.find('('), close = text.rfind(')');
  if (close == std::string::npos) return {};
  ProcessInfo info{.name = text.substr(open + 1, close - open - 1)};
  std::istringstream fields(text.substr(close + 1));
  std::string field, state;
  fields >> state >> info.parent;
  for (int i = 5; i <= 22; ++i) fields >> field;
  info.start_s = std::strtod(field.c_str(), nullptr) / static_cast<double>(sysconf(_SC_CLK_TCK));
  return info;
}

}  // namespace

double seconds_since_launch() {
  ProcessInfo launch = process_info(getpid());
  for (;;) {
    ProcessInfo parent = process_info(launch.parent);
    if (std::find(kLaunchers.begin(), kLaunchers.end(), parent.name) == kLaunchers.end()) break;
    launch = parent;
  }
  timespec now = {};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec) - launch.start_s;
}

}  // namespace ll
