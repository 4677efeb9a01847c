#pragma once
// Launching with programmatic dependent launch: a kernel may start while the one before it drains.
// Every kernel launched through launch() must call wait_for_previous() before it touches memory
// that earlier work writes or reads, in every thread that does so; it returns once all earlier
// kernels of the stream are complete. Calling let_next_start() early lets the next kernel's
// prologue (barrier set-up, weight prefetch) overlap this one.
#include <cuda_runtime.h>

#include <utility>

#include "kernels/cuda/device/cuda_check.h"
#include "kernels/cuda/device/launch.h"
#include "kernels/cuda/device/workspace.h"
#include "kernels/device_api.h"

namespace ll::cuda {

// Before 9.0 a kernel starts when the one before it is complete, and there is nothing to wait for.
__device__ inline void wait_for_previous() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
__device__ inline void let_next_start() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

// Each file has its own, as files are compiled for different GPUs; nvcc lists them.
namespace {

template <class... Params, class... Args>
void launch(Stream stream, LaunchShape shape, void (*kernel)(Params...), Args&&... args) {
  constexpr int kArchitectures[] = {__CUDA_ARCH_LIST__};
  cudaLaunchAttribute attributes[2];
  unsigned count = 0;
  if (waits_for_previous(kArchitectures)) {
    attributes[count].id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attributes[count++].val.programmaticStreamSerializationAllowed = 1;
  }
  if (shape.cluster > 1) {
    attributes[count].id = cudaLaunchAttributeClusterDimension;
    attributes[count++].val.clusterDim = {shape.cluster, 1, 1};
  }
  cudaLaunchConfig_t config{};
  config.gridDim = shape.grid;
  config.blockDim = shape.block;
  config.dynamicSmemBytes = shape.shared_bytes;
  config.stream = cuda_stream(stream);
  config.attrs = attributes;
  config.numAttrs = count;
  check(cudaLaunchKernelEx(&config, kernel, std::forward<Args>(args)...));
}

}  // namespace

}  // namespace ll::cuda
