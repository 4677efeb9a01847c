#include "kernels/cuda/decode_step/kernel.cuh"

namespace ll::cuda {
namespace {

struct Qwen7b {
  static constexpr FusedShape kShape{.hidden = 3584,
                                     .ffn = 18944,
                                     .heads = 28,
                                     .kv_heads = 4,
                                     .head_dim = 128,
                                     .vocab = 152064,
                                     .min_blocks = min_blocks(kBuiltFamily)};
};

}  // namespace

template <>
std::span<const FusedKernel> fused_decode_7b<kBuiltFamily>() {
  static const FusedKernel kernels[] = {fused_kernel<Qwen7b>(/*num_stages=*/3),
                                        fused_kernel<SharedBy<2, Qwen7b>>(/*num_stages=*/5)};
  return kernels;
}

}  // namespace ll::cuda
