#pragma once
// What a launch asks of a kernel and of the device.
#include <cuda_runtime.h>

#include <array>
#include <span>

namespace ll::cuda {

struct LaunchShape {
  dim3 grid, block;
  size_t shared_bytes = 0;
  unsigned cluster = 1;  // neighbours in grid.x that share their shared memory
};

// Whether a kernel compiled for these architectures (900: 9.0), on the GPU of the process, waits
// for the one before it by itself. One that does not, as its code is an older GPU's, must not start
// early. Code for 9.0, where that began, runs on 9.x alone, and so on.
bool waits_for_previous(std::span<const int> architectures);

// Lets launches of `kernel` ask for as much dynamic shared memory.
void allow_shared(const void* kernel, size_t bytes);

// Clusters of this shape that run at once. The multiprocessors of a cluster lie side by side, so
// that some are left over. Needs the shape's shared memory allowed.
int clusters_at_once(const void* kernel, const LaunchShape& shape);

// The same of clusters of 1, 2, 4 and 8 blocks; allows the shared memory.
using ClusterCounts = std::array<int, 4>;
ClusterCounts cluster_counts(const void* kernel, int block_threads, size_t shared_bytes);

}  // namespace ll::cuda
