#include "launcher/started_ranks.h"

#include <fmt/core.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace ll {
namespace {

// By /proc/PID/stat, see proc(5); 0: there is no such process.
pid_t parent_of(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string text;
  std::getline(file, text);
  size_t name_end = text.rfind(')');  // the name may hold anything
  if (name_end == std::string::npos) return 0;
  std::istringstream fields(text.substr(name_end + 1));
  char state = 0;
  pid_t parent = 0;
  fields >> state >> parent;
  return parent;
}

// An installation that was replaced meanwhile counts, too: the program of its ranks is deleted.
bool runs(pid_t pid, const std::string& path) {
  std::error_code error;
  std::string program = std::filesystem::read_symlink(fmt::format("/proc/{}/exe", pid), error);
  return program == path || program == path + " (deleted)";
}

}  // namespace

void signal_started_ranks(pid_t starter, const std::string& program, int signal) {
  std::error_code error;
  std::string path = std::filesystem::weakly_canonical(program, error);  // as the links have it
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    pid_t pid = std::atoi(entry.path().filename().c_str());
    if (pid > 0 && parent_of(pid) == starter && runs(pid, path)) kill(pid, signal);
  }
}

}  // namespace ll
