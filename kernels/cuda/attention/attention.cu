// Attention over paged KV: the step's plan, checks, and which kernel takes which rows.
#include <algorithm>
#include <cmath>
#include <cstdint>

#include "kernels/cuda/attention/attention.cuh"
#include "kernels/cuda/device/cuda_check.h"
#include "kernels/cuda/device/cuda_device.h"
#include "kernels/cuda/device/cuda_ops.h"
#include "kernels/cuda/ptx/tensor_map.h"

namespace ll::cuda {
namespace {

// Query heads of a KV head.
int group_of(int num_heads, int num_kv_heads) {
  require(num_kv_heads > 0 && num_heads % num_kv_heads == 0, "attention: heads per KV head");
  return num_heads / num_kv_heads;
}

// Those that the tensor cores' kernels take.
bool is_usual(int64_t dim, int group) { return (dim == 64 || dim == 128) && group <= kMaxGroup; }

void check_shapes(const AttentionArgs& a) {
  int64_t dim = a.kv.k.dim(3);
  require(dim % 2 == 0 && dim <= kMostPlainDim, "attention: head dimension");
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
  require((a.kv.split.parts > 1) == (a.log_sums != nullptr), "attention: log-sums");
  require(a.kv.split.parts == 1 || a.kv.split.block == kPagePositions, "attention: shared pages");
}

}  // namespace

CUtensorMap kv_map(TensorView pool) {
  auto dim = static_cast<uint64_t>(pool.dim(3));
  auto rows = static_cast<uint64_t>(pool.dim(0) * pool.dim(1) * pool.dim(2));
  require(rows <= INT32_MAX, "attention: a KV pool of more than 2^31 positions times heads");
  return tensor_map({pool.data, {dim, rows}, {dim}, {64, kPagePositions}});
}

CUtensorMap query_map(const AttentionArgs& a, int heads, int tokens) {
  auto dim = static_cast<uint64_t>(a.kv.k.dim(3)), width = static_cast<uint64_t>(a.qkv.dim(1));
  auto rows = static_cast<uint64_t>(a.batch.num_tokens);
  return tensor_map({a.qkv.data,
                     {dim, width / dim, rows},
                     {dim, width},
                     {64, static_cast<uint32_t>(heads), static_cast<uint32_t>(tokens)}});
}

float scale_log2(int64_t head_dim) {
  return static_cast<float>(1.4426950408889634 / std::sqrt(static_cast<double>(head_dim)));
}

AttentionCounters* attention_counters() {
  static_assert(sizeof(AttentionCounters) <= kCounterBytes);
  return static_cast<AttentionCounters*>(zeroed_counters().data);
}

// The page table must be the step's already: the plan holds the ids of each CTA's first pages. The
// query heads of a KV head share the tiles of prompts; the plain kernel has no use for the plan.
void begin_step(Stream stream, const BatchView& batch, const AttentionShape& shape) {
  int pack = std::min(group_of(shape.num_heads, shape.num_kv_heads), kMaxGroup);
  launch_attention_plan(stream, batch, shape.num_kv_heads, pack, kMinTiles, shape.split);
}

void attention(Stream stream, const AttentionArgs& a) {
  check_shapes(a);
  if (a.batch.num_tokens == 0) return;
  if (!is_usual(a.kv.k.dim(3), group_of(a.num_heads, a.num_kv_heads)))
    return attention_plain(stream, a);
  if (a.batch.num_decode > 0) attention_decode(stream, a);
  if (!a.batch.chunks.empty()) attention_prefill(stream, a);
}

}  // namespace ll::cuda
