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
#include "kernels/device_api.h"

namespace ll::cuda {

__device__ inline void wait_for_previous() { asm volatile("griddepcontrol.wait;" ::: "memory"); }
__device__ inline void let_next_start() {
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
}

template <class... Params, class... Args>
void launch(Stream stream, LaunchShape shape, void (*kernel)(Params...), Args&&... args) {
  cudaLaunchAttribute attributes[2];
  attributes[0].id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attributes[0].val.programmaticStreamSerializationAllowed = 1;
  attributes[1].id = cudaLaunchAttributeClusterDimension;
  attributes[1].val.clusterDim = {shape.cluster, 1, 1};
  cudaLaunchConfig_t config{};
  config.gridDim = shape.grid;
  config.blockDim = shape.block;
  config.dynamicSmemBytes = shape.shared_bytes;
  config.stream = static_cast<cudaStream_t>(stream.handle);
  config.attrs = attributes;
  config.numAttrs = shape.cluster > 1 ? 2 : 1;
  check(cudaLaunchKernelEx(&config, kernel, std::forward<Args>(args)...));
}

}  // namespace ll::cuda
