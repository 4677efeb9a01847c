#include "kernels/backend_versions.h"

#include <fmt/core.h>

#include "kernels/backend.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/cuda/cuda_backend.h"

namespace ll {

std::vector<VersionRow> backend_versions() {
  std::vector<VersionRow> rows = cpu::versions();
  for (VersionRow& row : cuda::versions()) rows.push_back(std::move(row));
  std::vector<std::string> gpus = describe_gpus();
  for (size_t i = 0; i < gpus.size(); ++i) rows.push_back({fmt::format("GPU {}", i), "", gpus[i]});
  return rows;
}

}  // namespace ll
