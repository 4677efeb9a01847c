#include <algorithm>

#include "kernels/cpu/cpu_ops.h"
#include "kernels/cpu/panels.h"

namespace ll::cpu {
namespace {

template <class T>
void embed_rows(const EmbedArgs& a) {
  int64_t width = a.out.dim(1);
  const T* panels = a.table.data.as<T>();
#pragma omp parallel for schedule(static) if (a.out.dim(0) > 8)
  for (int64_t row = 0; row < a.out.dim(0); ++row) {
    int32_t id = a.ids[row] >= 0 ? a.ids[row] : a.last_tokens[~a.ids[row]];
    int64_t local = id - a.vocab_begin;
    T* out = a.out.as<T>() + row * width;
    if (local < 0 || local >= a.table.rows) {
      std::fill(out, out + width, T{});
      continue;
    }
    const T* panel = panels + local / kPanelCols * panel_size<T>(width);
    for (int64_t k = 0; k < width; ++k) out[k] = panel[panel_offset<T>(k, local % kPanelCols)];
  }
}

template <class T>
void gather(TensorView out, TensorView x, const int32_t* rows) {
  int64_t width = x.dim(1);
  for (int64_t i = 0; i < out.dim(0); ++i)
    std::copy_n(x.as<T>() + rows[i] * width, width, out.as<T>() + i * width);
}

}  // namespace

void embed(Stream, const EmbedArgs& a) {
  ensure(a.out.dim(1) == a.table.cols, "embed: width");
  a.out.dtype == DType::f32 ? embed_rows<float>(a) : embed_rows<bf16>(a);
}

void gather_rows(Stream, TensorView out, TensorView x, const int32_t* rows) {
  ensure(out.dim(1) == x.dim(1) && out.dtype == x.dtype, "gather_rows: shapes differ");
  out.dtype == DType::f32 ? gather<float>(out, x, rows) : gather<bf16>(out, x, rows);
}

}  // namespace ll::cpu
