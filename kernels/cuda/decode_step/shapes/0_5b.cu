#include "kernels/cuda/decode_step/kernel.cuh"

namespace ll::cuda {
namespace {

struct Qwen05b {
  static constexpr FusedShape kShape{.hidden = 896,
                                     .ffn = 4864,
                                     .heads = 14,
                                     .kv_heads = 2,
                                     .head_dim = 64,
                                     .vocab = 151936,
                                     .min_blocks = min_blocks(kBuiltFamily)};
};

}  // namespace

template <>
std::span<const FusedKernel> fused_decode_0_5b<kBuiltFamily>() {
  static const FusedKernel kernels[] = {fused_kernel<Qwen05b>(/*num_stages=*/3),
                                        fused_kernel<SharedBy<2, Qwen05b>>(/*num_stages=*/3)};
  return kernels;
}

}  // namespace ll::cuda
