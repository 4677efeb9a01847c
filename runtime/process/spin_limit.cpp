#include "runtime/process/spin_limit.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>

namespace ll {

// Pauses of a processor, which takes 40 cycles for one on AMD's and 140 on Intel's since Skylake.
constexpr const char* kSpins = "8000";

void limit_spinning(char** argv) {
  if (std::getenv("GOMP_SPINCOUNT") || std::getenv("OMP_WAIT_POLICY")) return;
  if (setenv("GOMP_SPINCOUNT", kSpins, /*overwrite=*/1) != 0) return;
  std::error_code error;
  auto self = std::filesystem::read_symlink("/proc/self/exe", error);  // keeps its name in ps
  if (!error) execv(self.c_str(), argv);
}

}  // namespace ll
