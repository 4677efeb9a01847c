#include "launcher/mpirun_command.h"

#include <unistd.h>

#include "base/check.h"
#include "launcher/child_process.h"

namespace ll {

std::vector<std::string> mpirun_command(int num_ranks, const std::vector<std::string>& program) {
  std::string mpirun = program_on_path("mpirun");
  check(!mpirun.empty(),
        "mpirun: not found on PATH; install Open MPI (Debian, Ubuntu: apt-get install "
        "openmpi-bin) or load your cluster's MPI module");
  // Ranks share cores on their own terms (threads), and say themselves why they end.
  std::vector<std::string> command = {mpirun, "--quiet", "--oversubscribe",        "--bind-to",
                                      "none", "-np",     std::to_string(num_ranks)};
  if (geteuid() == 0) command.insert(command.begin() + 1, "--allow-run-as-root");
  command.insert(command.end(), program.begin(), program.end());
  return command;
}

std::string shell_quoted(const std::vector<std::string>& command) {
  constexpr const char* kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=+./,:@%";
  std::string line;
  for (const std::string& word : command) {
    if (!line.empty()) line += ' ';
    if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) {
      line += word;
      continue;
    }
    line += '\'';
    for (char c : word) line += c == '\'' ? std::string("'\\''") : std::string(1, c);
    line += '\'';
  }
  return line;
}

}  // namespace ll
