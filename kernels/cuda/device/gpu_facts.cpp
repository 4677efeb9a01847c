#include "kernels/cuda/device/gpu_facts.h"

#include <fmt/format.h>

#include <cctype>

namespace ll::cuda {
namespace {

// "-8Q", "-40C": what NVIDIA's names of virtual GPUs end with, gigabytes and a kind of licence.
bool ends_as_vgpu(std::string_view name) {
  if (name.empty() || std::string_view("ABCQ").find(name.back()) == std::string_view::npos)
    return false;
  size_t begin = name.size() - 1;
  while (begin > 0 && std::isdigit(static_cast<unsigned char>(name[begin - 1]))) --begin;
  return begin > 0 && begin + 1 < name.size() && name[begin - 1] == '-';
}

std::string version(int number) { return fmt::format("{}.{}", number / 1000, number % 1000 / 10); }

}  // namespace

const char* slice_of(std::string_view name) {
  if (name.find(" MIG ") != std::string_view::npos) return "a MIG slice";
  return ends_as_vgpu(name) || name.starts_with("GRID ") ? "a vGPU" : "";
}

std::string title(const GpuFacts& gpu) {
  std::string_view slice = slice_of(gpu.name);
  return slice.empty() ? gpu.name : fmt::format("{} ({})", gpu.name, slice);
}

std::string describe(const GpuFacts& gpu) {
  auto family = family_for(gpu.capability);
  return fmt::format(
      "{}, compute capability {}, {} SMs, {:.1f} GiB, {} KiB of shared memory a block, driver for "
      "CUDA {}, runtime {}, {}",
      title(gpu), gpu.capability.str(), gpu.num_sms,
      static_cast<double>(gpu.memory_bytes) / (size_t{1} << 30), gpu.shared_bytes >> 10,
      version(gpu.driver_version), version(gpu.runtime_version),
      family ? fmt::format("kernels: {}", name_of(*family))
             : fmt::format("not served: {}", needed_gpus()));
}

}  // namespace ll::cuda
