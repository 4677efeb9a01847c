#include "kernels/cuda/decode_step/kernel.cuh"

namespace ll::cuda {
namespace {

struct Qwen15b {
  static constexpr FusedShape kShape{.hidden = 1536,
                                     .ffn = 8960,
                                     .heads = 12,
                                     .kv_heads = 2,
                                     .head_dim = 128,
                                     .vocab = 151936,
                                     .min_blocks = min_blocks(kBuiltFamily)};
};

}  // namespace

template <>
std::span<const FusedKernel> fused_decode_1_5b<kBuiltFamily>() {
  static const FusedKernel kernels[] = {fused_kernel<Qwen15b>(/*num_stages=*/3),
                                        fused_kernel<SharedBy<2, Qwen15b>>(/*num_stages=*/3)};
  return kernels;
}

}  // namespace ll::cuda
