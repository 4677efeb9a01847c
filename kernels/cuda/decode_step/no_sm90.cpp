// A build without Hopper's kernels.
#include "kernels/cuda/decode_step/kernels.h"

namespace ll::cuda {

template <>
std::vector<const FusedKernel*> fused_kernels<KernelFamily::kSm90>() {
  return {};
}

}  // namespace ll::cuda
