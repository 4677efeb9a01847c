#include <cuda_runtime_api.h>

#include <fstream>

#include "kernels/cuda/cuda_backend.h"

namespace ll::cuda {
namespace {

// 12080 is 12.8.
std::string release_name(int version) {
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

// "NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.86.15  Fri ...": the first number in it.
std::string driver_release() {
  std::ifstream file("/proc/driver/nvidia/version");
  for (std::string word; file >> word;)
    if (word.find('.') != word.npos && word.find_first_not_of("0123456789.") == word.npos)
      return word;
  return "";
}

std::string driver_text() {
  int cuda_release = 0;
  if (cudaDriverGetVersion(&cuda_release) != cudaSuccess || cuda_release == 0) return "no driver";
  return fmt::format("driver {}, for CUDA up to {}", driver_release(), release_name(cuda_release));
}

}  // namespace

std::vector<VersionRow> versions() {
  return {{"CUDA", fmt::format("{}, for {}", release_name(CUDART_VERSION), LITELANG_CUDA_TARGETS),
           driver_text()}};
}

}  // namespace ll::cuda
