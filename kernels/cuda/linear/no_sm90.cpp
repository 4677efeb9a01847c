// A build without Hopper's kernels.
#include "kernels/cuda/linear/linear_kernels.h"

namespace ll::cuda {

std::span<const LinearKernel> stream_kernels() { return {}; }
std::span<const LinearKernel> tile_kernels() { return {}; }
std::span<const LinearKernel> block_kernels() { return {}; }
std::span<const LinearKernel> gate_kernels() { return {}; }
std::vector<const LinearKernel*> other_tile_kernels(const LinearArgs&) { return {}; }

}  // namespace ll::cuda
