#include "kernels/cuda/device/launch.h"

#include <unordered_map>

#include "kernels/cuda/device/cuda_check.h"
#include "kernels/cuda/device/cuda_device.h"

namespace ll::cuda {

bool waits_for_previous(std::span<const int> architectures) {
  if (!starts_early()) return false;
  for (int architecture : architectures)
    if (architecture >= 900 && architecture / 100 == compute_major()) return true;
  return false;
}

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

ClusterCounts cluster_counts(const void* kernel, int block_threads, size_t shared_bytes) {
  allow_shared(kernel, shared_bytes);
  ClusterCounts counts{};
  for (unsigned i = 0; i < counts.size(); ++i)
    counts[i] = clusters_at_once(kernel, {.grid = dim3(1u << i),
                                          .block = dim3(static_cast<unsigned>(block_threads)),
                                          .shared_bytes = shared_bytes,
                                          .cluster = 1u << i});
  return counts;
}

}  // namespace ll::cuda
