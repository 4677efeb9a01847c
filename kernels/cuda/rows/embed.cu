// Rows picked by number: token embeddings, and the hidden rows whose logits are wanted.
#include "kernels/cuda/device/cuda_ops.h"
#include "kernels/cuda/device/launch.cuh"

namespace ll::cuda {
namespace {

constexpr int kThreads = 128;

// Copies `count` elements; all threads of the block take part.
template <class Element>
__device__ void copy_row(Element* out, const Element* from, int count) {
  for (int i = threadIdx.x; i < count; i += blockDim.x) out[i] = from ? from[i] : Element{};
}

// out [T, width], table [num_rows, width]; one block a row. Element: 16 bytes, or one bfloat16.
template <class Element>
__global__ void __launch_bounds__(kThreads)
    embed_rows(Element* out, const Element* table, int width, int64_t num_rows, int64_t first_row,
               const int32_t* ids, const int32_t* last_tokens) {
  let_next_start();
  wait_for_previous();
  int32_t id = ids[blockIdx.x];
  if (id < 0) id = last_tokens[~id];
  int64_t local = id - first_row;
  const Element* from = local >= 0 && local < num_rows ? table + local * width : nullptr;
  copy_row(out + int64_t{blockIdx.x} * width, from, width);
}

template <class Element>
__global__ void __launch_bounds__(kThreads)
    gather_numbered(Element* out, const Element* x, int width, const int32_t* rows) {
  let_next_start();
  wait_for_previous();
  copy_row(out + int64_t{blockIdx.x} * width, x + int64_t{rows[blockIdx.x]} * width, width);
}

bool in_vectors(const void* a, const void* b, int64_t row_bytes) {
  auto address = [](const void* p) { return reinterpret_cast<uintptr_t>(p); };
  return (address(a) | address(b) | static_cast<uintptr_t>(row_bytes)) % sizeof(uint4) == 0;
}

LaunchShape one_block_a_row(int64_t rows) {
  return {dim3(static_cast<unsigned>(rows)), dim3(kThreads)};
}

}  // namespace

void embed(Stream stream, const EmbedArgs& a) {
  require(a.out.dim(1) == a.table.cols, "embed: width");
  require(a.out.dtype == DType::bf16 && a.table.data.dtype == DType::bf16, "embed: bfloat16 only");
  if (a.out.empty()) return;
  LaunchShape shape = one_block_a_row(a.out.dim(0));
  auto width = static_cast<int>(a.out.dim(1));
  if (in_vectors(a.out.data, a.table.data.data, width * 2)) {
    launch(stream, shape, embed_rows<uint4>, static_cast<uint4*>(a.out.data),
           static_cast<const uint4*>(a.table.data.data), width / 8, a.table.rows, a.vocab_begin,
           a.ids, a.last_tokens);
  } else {
    launch(stream, shape, embed_rows<bf16>, a.out.as<bf16>(), a.table.data.as<bf16>(), width,
           a.table.rows, a.vocab_begin, a.ids, a.last_tokens);
  }
}

void gather_rows(Stream stream, TensorView out, TensorView x, const int32_t* rows) {
  require(out.dim(1) == x.dim(1) && out.dtype == x.dtype, "gather_rows: shapes differ");
  if (out.empty()) return;
  LaunchShape shape = one_block_a_row(out.dim(0));
  int64_t row_bytes = out.dim(1) * static_cast<int64_t>(size_of(out.dtype));
  if (in_vectors(out.data, x.data, row_bytes)) {
    launch(stream, shape, gather_numbered<uint4>, static_cast<uint4*>(out.data),
           static_cast<const uint4*>(x.data), static_cast<int>(row_bytes / 16), rows);
  } else {
    require(row_bytes % 2 == 0, "gather_rows: elements of two or four bytes");
    launch(stream, shape, gather_numbered<uint16_t>, static_cast<uint16_t*>(out.data),
           static_cast<const uint16_t*>(x.data), static_cast<int>(row_bytes / 2), rows);
  }
}

}  // namespace ll::cuda
