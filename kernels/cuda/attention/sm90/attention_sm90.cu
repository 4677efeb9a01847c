#include "kernels/cuda/attention/sm90/attention_sm90.h"

#include "kernels/cuda/attention/attention_kernels.h"
#include "kernels/cuda/attention/attention_plan.cuh"
#include "kernels/cuda/attention/sm90/prefix_plan.cuh"

namespace ll::cuda {
namespace {

bool takes(const AttentionShape& s) {
  return (s.head_dim == 64 || s.head_dim == 128) && s.num_heads / s.num_kv_heads <= kMaxGroup;
}

// The query heads of a KV head share the tiles of prompts and prefixes.
void begin_step(Stream stream, const BatchView& batch, const AttentionShape& attention) {
  bool has_prefixes = reads_prefixes(batch, attention.num_kv_heads);
  if (has_prefixes) launch_prefix_plan(stream, batch, attention);
  launch_attention_plan(
      stream, batch, attention,
      {decode_cut(batch.num_decode * attention.num_kv_heads, has_prefixes),
       prefill_cut(attention.head_dim), has_prefixes ? prefix_plan(stream)->first_pages : nullptr});
}

void decode(Stream stream, const AttentionArgs& a) {
  if (reads_prefixes(a.batch, a.num_kv_heads)) attention_prefixes(stream, a);
  attention_decode(stream, a);
}

}  // namespace

const AttentionKernels& sm90_attention() {
  static const AttentionKernels kernels{.name = "sm90",
                                        .family = KernelFamily::kSm90,
                                        .max_sequences = kMaxSequences,
                                        .prepare = prepare_decode,
                                        .takes = takes,
                                        .groups_prefixes = true,
                                        .begin_step = begin_step,
                                        .decode = decode,
                                        .prefill = attention_prefill};
  return kernels;
}

}  // namespace ll::cuda
