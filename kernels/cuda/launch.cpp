#include "kernels/cuda/launch.h"

#include <unordered_map>

#include "kernels/cuda/cuda_check.h"

namespace ll::cuda {

void allow_shared(const void* kernel, size_t bytes) {
  static std::unordered_map<const void*, size_t> allowed;
  size_t& most = allowed[kernel];
  if (bytes <= most) return;
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             static_cast<int>(bytes)));
  most = bytes;
}

int clusters_at_once(const void* kernel, const LaunchShape& shape) {
  cudaLaunchAttribute cluster{};
  cluster.id = cudaLaunchAttributeClusterDimension;
  cluster.val.clusterDim = {shape.cluster, 1, 1};
  cudaLaunchConfig_t config{};
  config.gridDim = shape.grid;
  config.blockDim = shape.block;
  config.dynamicSmemBytes = shape.shared_bytes;
  config.attrs = &cluster;
  config.numAttrs = 1;
  int count = 0;
  check(cudaOccupancyMaxActiveClusters(&count, kernel, &config));
  return count;
}

}  // namespace ll::cuda
