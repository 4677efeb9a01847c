#include <cstring>

#include "kernels/cpu/cpu_ops.h"

namespace ll::cpu {

void update_page_table(Stream, int32_t* page_table, int64_t stride, const PageDelta* deltas,
                       int32_t count) {
  for (int32_t i = 0; i < count; ++i)
    page_table[deltas[i].slot * stride + deltas[i].index] = deltas[i].page;
}

void copy_pages(Stream, TensorView pools, int64_t page_size, const PageCopy* copies,
                int32_t count) {
  size_t head = static_cast<size_t>(pools.dim(3)) * size_of(pools.dtype);
  size_t row = head / static_cast<size_t>(page_size),
         page = static_cast<size_t>(pools.dim(2)) * head;
#pragma omp parallel for schedule(static)
  for (int64_t pool = 0; pool < pools.dim(0); ++pool) {
    auto* base = static_cast<std::byte*>(pools.rows(pool, 1).data);
    for (int32_t i = 0; i < count; ++i)
      for (size_t h = 0; h < static_cast<size_t>(pools.dim(2)); ++h)
        std::memcpy(base + static_cast<size_t>(copies[i].target) * page + h * head,
                    base + static_cast<size_t>(copies[i].source) * page + h * head,
                    static_cast<size_t>(copies[i].num_rows) * row);
  }
}

}  // namespace ll::cpu
