#include "runtime/process/starter.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <string>

namespace ll {

bool is_started_by_mpirun() {
  constexpr std::array kLaunchers = {"mpirun", "mpiexec", "orterun", "orted", "prterun", "prted"};
  std::ifstream file("/proc/" + std::to_string(::getppid()) + "/comm");
  std::string parent;
  std::getline(file, parent);
  return std::find(kLaunchers.begin(), kLaunchers.end(), parent) != kLaunchers.end();
}

}  // namespace ll
