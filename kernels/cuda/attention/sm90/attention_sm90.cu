#include "kernels/cuda/attention/sm90/attention_sm90.h"

#include "kernels/cuda/attention/attention_kernels.h"
#include "kernels/cuda/attention/attention_plan.cuh"

namespace ll::cuda {
namespace {

bool takes(const AttentionShape& s) {
  return (s.head_dim == 64 || s.head_dim == 128) && s.num_heads / s.num_kv_heads <= kMaxGroup;
}

void begin_step(Stream stream, const BatchView& batch, const AttentionShape& attention) {
  launch_attention_plan(
      stream, batch, attention,
      {decode_cut(batch.num_decode * attention.num_kv_heads), prefill_cut(attention.head_dim)});
}

}  // namespace

const AttentionKernels& sm90_attention() {
  static const AttentionKernels kernels{.name = "sm90",
                                        .family = KernelFamily::kSm90,
                                        .max_sequences = kMaxSequences,
                                        .prepare = prepare_decode,
                                        .takes = takes,
                                        .begin_step = begin_step,
                                        .decode = attention_decode,
                                        .prefill = attention_prefill};
  return kernels;
}

}  // namespace ll::cuda
