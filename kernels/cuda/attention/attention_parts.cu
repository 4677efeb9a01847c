// Attention over parts of the positions on its way between the ranks: packed for them, and merged.
#include "kernels/cuda/attention/attention.cuh"
#include "kernels/cuda/device/cuda_ops.h"
#include "kernels/cuda/device/launch.cuh"

namespace ll::cuda {
namespace {

constexpr int kThreads = 128;

// Neighbouring columns of one head.
template <int kWidth>
struct alignas(kWidth * sizeof(bf16)) Columns {
  bf16 x[kWidth];
};

__device__ inline char* part_of(const AttentionParts& parts, int index) {
  return static_cast<char*>(parts.data) + index * parts.part_bytes();
}

// Block (row, part of the exchange).
template <int kWidth>
__global__ void __launch_bounds__(kThreads)
    pack_rows(AttentionParts to, int copies, const bf16* out, int64_t out_width,
              const float* log_sums) {
  let_next_start();
  wait_for_previous();
  int64_t row = blockIdx.x;
  char* part = part_of(to, static_cast<int>(blockIdx.y));
  auto* sums = reinterpret_cast<float*>(part) + row * to.heads;
  const bf16* from = out + row * out_width + blockIdx.y / copies * to.width;
  using V = Columns<kWidth>;
  auto* values = reinterpret_cast<V*>(part + to.values_offset()) + row * to.width / kWidth;
  for (int64_t i = threadIdx.x; i < to.heads; i += kThreads) sums[i] = log_sums[row * to.heads + i];
  for (int64_t i = threadIdx.x; i < to.width / kWidth; i += kThreads)
    values[i] = reinterpret_cast<const V*>(from)[i];
}

// One block a row.
template <int kWidth>
__global__ void __launch_bounds__(kThreads)
    merge_rows(bf16* out, AttentionParts from, int num_parts, int64_t first_column,
               int64_t head_dim) {
  let_next_start();
  wait_for_previous();
  using V = Columns<kWidth>;
  int64_t row = blockIdx.x, vectors = from.width / kWidth;
  for (int64_t i = threadIdx.x; i < vectors; i += kThreads) {
    int64_t head = (first_column + i * kWidth) / head_dim;
    auto log_sum = [&](int b) {
      return reinterpret_cast<const float*>(part_of(from, b))[row * from.heads + head];
    };
    float max = -kInfinity, total = 0, sums[kWidth] = {};
    for (int b = 0; b < num_parts; ++b) max = fmaxf(max, log_sum(b));
    for (int b = 0; b < num_parts; ++b) {
      if (log_sum(b) == -kInfinity) continue;  // of no position
      float weight = __expf(log_sum(b) - max);
      const char* values = part_of(from, b) + from.values_offset();
      V part = reinterpret_cast<const V*>(values)[row * vectors + i];
      total += weight;
#pragma unroll
      for (int e = 0; e < kWidth; ++e) sums[e] += weight * widen(part.x[e]);
    }
    float inverse = total > 0 ? 1.0f / total : 0.0f;
    V merged;
#pragma unroll
    for (int e = 0; e < kWidth; ++e) merged.x[e] = narrow(sums[e] * inverse);
    reinterpret_cast<V*>(out)[row * vectors + i] = merged;
  }
}

bool is_wide(int64_t width) { return width % kVectorWidth == 0; }

}  // namespace

void pack_attention(Stream stream, const PackAttentionArgs& a) {
  require(a.out.dim(0) == a.to.rows && a.out.dim(1) == a.num_parts / a.copies * a.to.width,
          "pack_attention: shapes");
  if (a.out.empty()) return;
  dim3 grid(static_cast<unsigned>(a.to.rows), static_cast<unsigned>(a.num_parts));
  launch(stream, {grid, dim3(kThreads)},
         is_wide(a.to.width) ? pack_rows<kVectorWidth> : pack_rows<1>, a.to, a.copies,
         a.out.as<bf16>(), a.out.dim(1), a.log_sums);
}

void merge_attention(Stream stream, const MergeAttentionArgs& a) {
  require(a.out.dim(0) == a.from.rows && a.out.dim(1) == a.from.width, "merge_attention: shapes");
  if (a.out.empty()) return;
  bool wide = is_wide(a.from.width) && is_wide(a.first_column) && is_wide(a.head_dim);
  launch(stream, {dim3(static_cast<unsigned>(a.from.rows)), dim3(kThreads)},
         wide ? merge_rows<kVectorWidth> : merge_rows<1>, a.out.as<bf16>(), a.from, a.num_parts,
         a.first_column, a.head_dim);
}

}  // namespace ll::cuda
