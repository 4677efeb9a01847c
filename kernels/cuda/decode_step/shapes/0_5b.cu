#include "kernels/cuda/decode_step/kernel.cuh"

namespace ll::cuda {

struct Qwen05b {
  static constexpr FusedShape kShape{
      .hidden = 896, .ffn = 4864, .heads = 14, .kv_heads = 2, .head_dim = 64, .vocab = 151936};
};

const FusedKernel& fused_decode_0_5b() {
  static const FusedKernel kernel = fused_kernel<Qwen05b>(/*num_stages=*/3);
  return kernel;
}

}  // namespace ll::cuda
