// All shapes, compiled for the GPUs of one family: LITELANG_BUILT_FAMILY.
#include "kernels/cuda/decode_step/kernels.h"

namespace ll::cuda {

constexpr KernelFamily kBuiltFamily = KernelFamily::LITELANG_BUILT_FAMILY;

template <>
std::span<const FusedKernel* const> fused_kernels<kBuiltFamily>() {
  static const FusedKernel* const kernels[] = {
      &fused_decode_0_5b<kBuiltFamily>(), &fused_decode_1_5b<kBuiltFamily>(),
      &fused_decode_3b<kBuiltFamily>(), &fused_decode_7b<kBuiltFamily>()};
  return kernels;
}

}  // namespace ll::cuda
