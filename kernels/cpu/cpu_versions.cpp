#include <omp.h>

#include <fstream>

#include "kernels/cpu/cpu_backend.h"
#include "kernels/cpu/onednn_matmul.h"
#include "kernels/cpu/simd/simd.h"

namespace ll::cpu {
namespace {

// "Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz", or empty.
std::string cpu_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (line.starts_with("model name"))
      return line.substr(std::min(line.find(": ") + 2, line.size()));
  return "";
}

}  // namespace

std::vector<VersionRow> versions() {
  std::string name = cpu_name();
  int threads = omp_get_max_threads();
  return {{"CPU", simd_names(),
           fmt::format("{}, {} thread{}{}{}", simd().name, threads, threads == 1 ? "" : "s",
                       name.empty() ? "" : ", ", name)},
          onednn_version()};
}

}  // namespace ll::cpu
