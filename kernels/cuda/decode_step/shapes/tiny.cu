#include "kernels/cuda/decode_step/kernel.cuh"

namespace ll::cuda {
namespace {

// Not a model's that anybody uses: its ranks run beside each other on one GPU, in tests.
struct Tiny {
  static constexpr FusedShape kShape{.hidden = 512,
                                     .ffn = 2048,
                                     .heads = 8,
                                     .kv_heads = 4,
                                     .head_dim = 64,
                                     .vocab = 4096,
                                     .min_blocks = 32};
};

}  // namespace

template <>
std::span<const FusedKernel> fused_decode_tiny<kBuiltFamily>() {
  static const FusedKernel kernels[] = {fused_kernel<Tiny>(/*num_stages=*/3),
                                        fused_kernel<SharedBy<2, Tiny>>(/*num_stages=*/3),
                                        fused_kernel<SharedBy<4, Tiny>>(/*num_stages=*/3)};
  return kernels;
}

}  // namespace ll::cuda
