// Attention over paged KV: checks, and which row of the table of kernels does it.
#include "kernels/cuda/attention/attention_kernels.h"
#include "kernels/cuda/device/cuda_check.h"
#include "kernels/cuda/device/cuda_ops.h"

namespace ll::cuda {
namespace {

void check_shape(const AttentionShape& s) {
  require(s.num_kv_heads > 0 && s.num_heads % s.num_kv_heads == 0, "attention: heads per KV head");
  require(s.head_dim % 2 == 0 && s.head_dim <= kMostPlainDim, "attention: head dimension");
}

void check_args(const AttentionArgs& a) {
  int64_t dim = a.kv.k.dim(3);
  require(a.kv.page_size() == kPagePositions, "attention: pages of 64 positions");
  require(a.kv.k.shape == a.kv.v.shape && a.kv.k.dim(1) == a.num_kv_heads, "attention: KV pools");
  require(a.qkv.dtype == DType::bf16 && a.out.dtype == DType::bf16 && a.kv.k.dtype == DType::bf16 &&
              a.kv.v.dtype == DType::bf16,
          "attention: bfloat16 only");
  require(
      a.qkv.dim(1) == (a.num_heads + 2 * a.num_kv_heads) * dim && a.out.dim(1) == a.num_heads * dim,
      "attention: widths");
  require(a.qkv.dim(0) >= a.batch.num_tokens && a.out.dim(0) >= a.batch.num_tokens &&
              a.batch.num_decode >= 0 && a.batch.num_decode <= a.batch.num_tokens,
          "attention: rows");
  require(a.kv.split.parts == 1 || a.log_sums, "attention: log-sums");
  require(a.kv.split.parts == 1 || a.kv.split.page_size == kPagePositions,
          "attention: shared pages");
}

}  // namespace

// The page table must be the step's already: work lists may hold ids of pages.
void begin_step(Stream stream, const BatchView& batch, const AttentionShape& shape) {
  check_shape(shape);
  const AttentionKernels& kernels = attention_kernels(shape);
  if (kernels.begin_step) kernels.begin_step(stream, batch, shape);
}

void attention(Stream stream, const AttentionArgs& a) {
  AttentionShape shape{.num_heads = a.num_heads,
                       .num_kv_heads = a.num_kv_heads,
                       .head_dim = static_cast<int32_t>(a.kv.k.dim(3)),
                       .split = a.kv.split};
  check_shape(shape);
  check_args(a);
  if (a.batch.num_tokens == 0) return;
  const AttentionKernels& kernels = attention_kernels(shape);
  if (a.batch.num_decode > 0) kernels.decode(stream, a);
  if (!a.batch.chunks.empty()) kernels.prefill(stream, a);
}

}  // namespace ll::cuda
