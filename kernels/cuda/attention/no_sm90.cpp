// A build without Hopper's kernels: a row that serves no GPU.
#include "kernels/cuda/attention/attention_kernels.h"

namespace ll::cuda {

const AttentionKernels& sm90_attention() {
  static const AttentionKernels none{.name = "none", .family = KernelFamily::kSm90};
  return none;
}

}  // namespace ll::cuda
