#include <algorithm>

#include "kernels/cpu/cpu_ops.h"

namespace ll::cpu {
namespace {

// Half-rotation: (x_i, x_{i + D/2}) turn by the angle of i. In place; `to` may be a page.
template <class T>
void rotate(const T* from, T* to, const float* cos_sin, int64_t dim) {
  int64_t half = dim / 2;
  for (int64_t i = 0; i < half; ++i) {
    float a = to_float(from[i]), b = to_float(from[i + half]);
    float c = cos_sin[i], s = cos_sin[i + half];
    to[i] = from_float<T>(a * c - b * s);
    to[i + half] = from_float<T>(b * c + a * s);
  }
}

template <class T>
void rope_row(const RopeAndStoreArgs& a, int64_t row) {
  int32_t position = a.batch.positions[row];
  if (position < 0) return;
  int64_t dim = a.kv.k.dim(3), page_size = a.kv.page_size(), kv_heads = a.num_kv_heads;
  const float* cos_sin = a.cos_sin.as<float>() + position * dim;
  T* q = a.qkv.as<T>() + row * (a.num_heads + 2 * kv_heads) * dim;
  T *k = q + a.num_heads * dim, *v = k + kv_heads * dim;
  for (int64_t h = 0; h < a.num_heads; ++h) rotate(q + h * dim, q + h * dim, cos_sin, dim);
  if (!a.kv.split.owns(position)) return;
  int64_t own = a.kv.split.count(position);
  int64_t page =
      a.batch.page_table[a.batch.slots[row] * a.batch.page_table_stride + own / page_size];
  for (int64_t h = 0; h < kv_heads; ++h) {
    int64_t at = ((page * kv_heads + h) * page_size + own % page_size) * dim;
    rotate(k + h * dim, a.kv.k.as<T>() + at, cos_sin, dim);
    std::copy_n(v + h * dim, dim, a.kv.v.as<T>() + at);
  }
}

}  // namespace

void rope_and_store_kv(Stream, const RopeAndStoreArgs& a) {
  ensure(a.kv.k.dim(1) == a.num_kv_heads && a.cos_sin.dim(1) == a.kv.k.dim(3), "rope: shapes");
#pragma omp parallel for schedule(static) if (a.batch.num_tokens > 16)
  for (int64_t row = 0; row < a.batch.num_tokens; ++row)
    a.qkv.dtype == DType::f32 ? rope_row<float>(a, row) : rope_row<bf16>(a, row);
}

}  // namespace ll::cpu
