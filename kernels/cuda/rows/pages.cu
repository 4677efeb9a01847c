// The page table and copies of pages.
#include "base/numbers.h"
#include "kernels/cuda/device/cuda_ops.h"
#include "kernels/cuda/device/launch.cuh"

namespace ll::cuda {
namespace {

constexpr int kThreads = 256;

__global__ void __launch_bounds__(kThreads)
    apply_deltas(int32_t* page_table, int64_t stride, const PageDelta* deltas, int32_t count) {
  let_next_start();
  wait_for_previous();
  int i = blockIdx.x * kThreads + threadIdx.x;
  if (i < count) page_table[deltas[i].slot * stride + deltas[i].index] = deltas[i].page;
}

// Block (copy, head, pool); a pool [num_pages, heads] of heads of `head_vectors` vectors, a
// position `row_vectors` of them.
template <class Vector>
__global__ void __launch_bounds__(kThreads)
    copy_heads(Vector* pools, int64_t pool_vectors, const PageCopy* copies, int row_vectors,
               int head_vectors) {
  let_next_start();
  wait_for_previous();
  PageCopy copy = copies[blockIdx.x];
  int64_t heads = gridDim.y;
  Vector* pool = pools + blockIdx.z * pool_vectors;
  const Vector* from = pool + (copy.source * heads + blockIdx.y) * head_vectors;
  Vector* to = pool + (copy.target * heads + blockIdx.y) * head_vectors;
  for (int i = threadIdx.x; i < copy.num_rows * row_vectors; i += kThreads) to[i] = from[i];
}

template <class Vector>
void copy_all(Stream stream, TensorView pools, int64_t row_bytes, int64_t head_bytes,
              const PageCopy* copies, int32_t count) {
  constexpr auto kBytes = static_cast<int64_t>(sizeof(Vector));
  dim3 grid(static_cast<unsigned>(count), static_cast<unsigned>(pools.dim(2)),
            static_cast<unsigned>(pools.dim(0)));
  launch(stream, {grid, dim3(kThreads)}, copy_heads<Vector>, static_cast<Vector*>(pools.data),
         pools.dim(1) * pools.dim(2) * head_bytes / kBytes, copies,
         static_cast<int>(row_bytes / kBytes), static_cast<int>(head_bytes / kBytes));
}

}  // namespace

// No two deltas name the same entry.
void update_page_table(Stream stream, int32_t* page_table, int64_t stride, const PageDelta* deltas,
                       int32_t count) {
  if (count == 0) return;
  launch(stream, {dim3(static_cast<unsigned>(ceil_div(count, kThreads))), dim3(kThreads)},
         apply_deltas, page_table, stride, deltas, count);
}

void copy_pages(Stream stream, TensorView pools, int64_t page_size, const PageCopy* copies,
                int32_t count) {
  if (count == 0 || pools.empty()) return;
  int64_t head_bytes = pools.dim(3) * static_cast<int64_t>(size_of(pools.dtype)),
          row_bytes = head_bytes / page_size;
  require(head_bytes % page_size == 0 && row_bytes % 4 == 0,
          "copy_pages: a position must have a multiple of 4 bytes");
  bool is_wide = row_bytes % static_cast<int64_t>(sizeof(uint4)) == 0;
  (is_wide ? copy_all<uint4> : copy_all<uint32_t>)(stream, pools, row_bytes, head_bytes, copies,
                                                   count);
}

}  // namespace ll::cuda
