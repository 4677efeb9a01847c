// All shapes, compiled for the GPUs of one family: LITELANG_BUILT_FAMILY.
#include "kernels/cuda/decode_step/kernels.h"

namespace ll::cuda {

constexpr KernelFamily kBuiltFamily = KernelFamily::LITELANG_BUILT_FAMILY;

template <>
std::vector<const FusedKernel*> fused_kernels<kBuiltFamily>() {
  std::vector<const FusedKernel*> kernels;
  for (std::span<const FusedKernel> model :
       {fused_decode_0_5b<kBuiltFamily>(), fused_decode_1_5b<kBuiltFamily>(),
        fused_decode_3b<kBuiltFamily>(), fused_decode_7b<kBuiltFamily>(),
        fused_decode_tiny<kBuiltFamily>()})
    for (const FusedKernel& kernel : model) kernels.push_back(&kernel);
  return kernels;
}

}  // namespace ll::cuda
