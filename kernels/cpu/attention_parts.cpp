// Attention over parts of the positions, between ranks: packed for them, and merged.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/cpu/cpu_ops.h"

namespace ll::cpu {
namespace {

std::byte* part_at(const AttentionParts& parts, int64_t index) {
  return static_cast<std::byte*>(parts.data) + static_cast<size_t>(index) * parts.part_bytes();
}

// What the parts of one row and head weigh; their sum is one, unless no part has a position.
void weigh(const MergeAttentionArgs& a, int64_t row, int64_t head, float* weights) {
  float max = -std::numeric_limits<float>::infinity(), sum = 0;
  for (int32_t b = 0; b < a.num_parts; ++b) {
    const auto* log_sums = reinterpret_cast<const float*>(part_at(a.from, b));
    weights[b] = log_sums[row * a.from.heads + head];
    max = std::max(max, weights[b]);
  }
  for (int32_t b = 0; b < a.num_parts; ++b) {
    weights[b] = weights[b] > -INFINITY ? std::exp(weights[b] - max) : 0.0f;
    sum += weights[b];
  }
  for (int32_t b = 0; b < a.num_parts; ++b) weights[b] = sum > 0 ? weights[b] / sum : 0.0f;
}

template <class T>
void merge_row(const MergeAttentionArgs& a, int64_t row, std::vector<float>& weights) {
  int64_t width = a.from.width, weighed = -1;
  for (int64_t i = 0; i < width; ++i) {
    int64_t head = (a.first_column + i) / a.head_dim;
    if (head != weighed) weigh(a, row, weighed = head, weights.data());
    float sum = 0;
    for (int32_t b = 0; b < a.num_parts; ++b) {
      const auto* values = reinterpret_cast<const T*>(part_at(a.from, b) + a.from.values_offset());
      if (weights[static_cast<size_t>(b)] > 0)
        sum += weights[static_cast<size_t>(b)] * to_float(values[row * width + i]);
    }
    a.out.as<T>()[row * width + i] = from_float<T>(sum);
  }
}

template <class T>
void merge(const MergeAttentionArgs& a) {
#pragma omp parallel if (a.from.rows > 8)
  {
    std::vector<float> weights(static_cast<size_t>(a.num_parts));
#pragma omp for schedule(static)
    for (int64_t row = 0; row < a.from.rows; ++row) merge_row<T>(a, row, weights);
  }
}

}  // namespace

void pack_attention(Stream stream, const PackAttentionArgs& a) {
  ensure(a.out.dim(0) == a.to.rows && a.out.dtype == a.to.dtype &&
             a.out.dim(1) == a.num_parts / a.copies * a.to.width,
         "pack_attention: shapes");
  for (int32_t b = 0; b < a.num_parts; ++b) {
    std::byte* part = part_at(a.to, b);
    std::memcpy(part, a.log_sums, a.to.values_offset());
    TensorView values{part + a.to.values_offset(), a.to.dtype, {a.to.rows, a.to.width}};
    copy_columns(stream, values, 0, a.out, b / a.copies * a.to.width, a.to.width);
  }
}

void merge_attention(Stream, const MergeAttentionArgs& a) {
  ensure(a.out.dim(0) == a.from.rows && a.out.dim(1) == a.from.width &&
             a.out.dtype == a.from.dtype &&
             a.first_column + a.from.width <= a.from.heads * a.head_dim,
         "merge_attention: shapes");
  a.out.dtype == DType::f32 ? merge<float>(a) : merge<bf16>(a);
}

}  // namespace ll::cpu
