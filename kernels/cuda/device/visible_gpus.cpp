#include "kernels/cuda/device/visible_gpus.h"

#include <cuda.h>
#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include "kernels/cuda/device/cuda_check.h"

namespace ll::cuda {
namespace {

// The runtime's own answer is, for a MIG slice, that of the GPU it is of; the driver's second
// version of the question tells slices apart.
cudaUUID_t uuid_of(int gpu, const cudaUUID_t& otherwise) {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found;
  constexpr unsigned kSinceVersion = 11040;
  if (cudaGetDriverEntryPointByVersion("cuDeviceGetUuid", &function, kSinceVersion,
                                       cudaEnableDefault, &found) != cudaSuccess ||
      found != cudaDriverEntryPointSuccess || !function)
    return otherwise;
  CUuuid uuid;
  bool is_known = reinterpret_cast<CUresult (*)(CUuuid*, CUdevice)>(function)(&uuid, gpu) == 0;
  return is_known ? uuid : otherwise;
}

std::string text_of(const cudaUUID_t& uuid, bool is_mig) {
  std::string text = is_mig ? "MIG-" : "GPU-";
  for (int i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += fmt::format("{:02x}", static_cast<unsigned char>(uuid.bytes[i]));
  }
  return text;
}

}  // namespace

int num_visible_gpus() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}

GpuFacts gpu_facts(int gpu) {
  cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, gpu));
  bool is_mig = std::string_view(properties.name).find(" MIG ") != std::string_view::npos;
  GpuFacts facts{.name = properties.name,
                 .uuid = text_of(uuid_of(gpu, properties.uuid), is_mig),
                 .capability = {properties.major, properties.minor},
                 .num_sms = properties.multiProcessorCount,
                 .memory_bytes = properties.totalGlobalMem,
                 .shared_bytes = properties.sharedMemPerBlockOptin};
  check(cudaDriverGetVersion(&facts.driver_version));
  check(cudaRuntimeGetVersion(&facts.runtime_version));
  return facts;
}

}  // namespace ll::cuda
