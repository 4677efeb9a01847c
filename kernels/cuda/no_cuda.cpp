#include "kernels/cuda/cuda_backend.h"

namespace ll::cuda {

bool has_device() { return false; }

std::vector<std::string> describe_devices() { return {}; }

Backend open(int) {
  fail_usage(
      "backend: cuda, but this program was built without CUDA; use backend: cpu, or build with "
      "LITELANG_CUDA=ON");
}

void enter_device() {}

std::vector<VersionRow> versions() { return {{"CUDA", "no", ""}}; }

}  // namespace ll::cuda
