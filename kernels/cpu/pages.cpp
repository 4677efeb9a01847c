#include <cstring>

#include "kernels/cpu/cpu_ops.h"

namespace ll::cpu {

void update_page_table(Stream, int32_t* page_table, int64_t stride, const PageDelta* deltas,
                       int32_t count) {
  for (int32_t i = 0; i < count; ++i)
    page_table[deltas[i].slot * stride + deltas[i].index] = deltas[i].page;
}

void copy_pages(Stream, KvPages kv, const PageCopy* copies, int32_t count) {
  size_t row = static_cast<size_t>(kv.k.dim(3)) * size_of(kv.k.dtype);
  size_t head = static_cast<size_t>(kv.page_size()) * row, page = static_cast<size_t>(kv.k.dim(1)) * head;
  for (const TensorView& pool : {kv.k, kv.v}) {
    auto* base = static_cast<std::byte*>(pool.data);
    for (int32_t i = 0; i < count; ++i)
      for (int64_t h = 0; h < kv.k.dim(1); ++h) {
        size_t at = static_cast<size_t>(h) * head;
        std::memcpy(base + static_cast<size_t>(copies[i].target) * page + at,
                    base + static_cast<size_t>(copies[i].source) * page + at,
                    static_cast<size_t>(copies[i].num_rows) * row);
      }
  }
}

}  // namespace ll::cpu
