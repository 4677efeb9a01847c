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
const FusedKernel& fused_decode_7b<kBuiltFamily>() {
  static const FusedKernel kernel = fused_kernel<Qwen7b>(/*num_stages=*/3);
  return kernel;
}

}  // namespace ll::cuda
