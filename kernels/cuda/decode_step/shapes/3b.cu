#include "kernels/cuda/decode_step/kernel.cuh"

namespace ll::cuda {
namespace {

struct Qwen3b {
  static constexpr FusedShape kShape{.hidden = 2048,
                                     .ffn = 11008,
                                     .heads = 16,
                                     .kv_heads = 2,
                                     .head_dim = 128,
                                     .vocab = 151936,
                                     .min_blocks = min_blocks(kBuiltFamily)};
};

}  // namespace

template <>
std::span<const FusedKernel> fused_decode_3b<kBuiltFamily>() {
  static const FusedKernel kernels[] = {fused_kernel<Qwen3b>(/*num_stages=*/3),
                                        fused_kernel<SharedBy<2, Qwen3b>>(/*num_stages=*/3)};
  return kernels;
}

}  // namespace ll::cuda
