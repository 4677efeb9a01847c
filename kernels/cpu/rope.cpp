#include <algorithm>
#include <vector>

#include "kernels/cpu/cpu_ops.h"
#include "kernels/cpu/rows.h"

namespace ll::cpu {
namespace {

// (x_2i, x_2i+1) turn by the angle of i.
void rotate(float* x, const float* cos_sin, int64_t dim) {
  int64_t half = dim / 2;
  for (int64_t i = 0; i < half; ++i) {
    float a = x[2 * i], b = x[2 * i + 1], c = cos_sin[i], s = cos_sin[i + half];
    x[2 * i] = a * c - b * s;
    x[2 * i + 1] = b * c + a * s;
  }
}

template <class T>
void rope_row(const RopeAndStoreArgs& a, int64_t row, std::vector<float>& x) {
  int32_t position = a.batch.positions[row];
  if (position < 0) return;
  int64_t dim = a.kv.k.dim(3), page_size = a.kv.page_size(), kv_heads = a.num_kv_heads;
  int64_t heads = a.num_heads + kv_heads;  // that turn
  T* q = a.qkv.as<T>() + row * (heads + kv_heads) * dim;
  x.resize(static_cast<size_t>(heads * dim));
  load_row(x.data(), q, heads * dim);
  for (int64_t h = 0; h < heads; ++h)
    rotate(x.data() + h * dim, a.cos_sin.as<float>() + position * dim, dim);
  store_row(q, x.data(), a.num_heads * dim);
  if (!a.kv.split.owns(position)) return;
  const float* k = x.data() + a.num_heads * dim;
  const T* v = q + heads * dim;
  int64_t own = a.kv.split.count(position);
  int64_t page =
      a.batch.page_table[a.batch.slots[row] * a.batch.page_table_stride + own / page_size];
  for (int64_t h = 0; h < kv_heads; ++h) {
    int64_t at = ((page * kv_heads + h) * page_size + own % page_size) * dim;
    store_row(a.kv.k.as<T>() + at, k + h * dim, dim);
    std::copy_n(v + h * dim, dim, a.kv.v.as<T>() + at);
  }
}

}  // namespace

void rope_and_store_kv(Stream, const RopeAndStoreArgs& a) {
  ensure(a.kv.k.dim(1) == a.num_kv_heads && a.cos_sin.dim(1) == a.kv.k.dim(3), "rope: shapes");
#pragma omp parallel if (a.batch.num_tokens > 16)
  {
    std::vector<float> x;
#pragma omp for schedule(static)
    for (int64_t row = 0; row < a.batch.num_tokens; ++row)
      a.qkv.dtype == DType::f32 ? rope_row<float>(a, row, x) : rope_row<bf16>(a, row, x);
  }
}

}  // namespace ll::cpu
