// Rotary embedding of q and k, and k and v to their pages; one block a row.
#include <algorithm>

#include "kernels/cuda/cuda_ops.h"
#include "kernels/cuda/device_math.cuh"
#include "kernels/cuda/launch.cuh"

namespace ll::cuda {
namespace {

constexpr int kMaxThreads = 512;

struct RopeShape {
  int num_heads, num_kv_heads, dim, page_size;
  int64_t page_table_stride;
  PositionSplit split;
};

struct Angles {
  float4 cosines[2], sines[2];

  __device__ static Angles load(const float* row, int at, int half) {
    const auto *c = reinterpret_cast<const float4*>(row + at),
               *s = reinterpret_cast<const float4*>(row + half + at);
    return {{c[0], c[1]}, {s[0], s[1]}};
  }
};

// Turns eight pairs (low_i, high_i).
__device__ void rotate(uint4& low, uint4& high, const Angles& angles) {
  float a[kVectorWidth], b[kVectorWidth];
  unpack(low, a);
  unpack(high, b);
  const float4 &c0 = angles.cosines[0], &c1 = angles.cosines[1], &s0 = angles.sines[0],
               &s1 = angles.sines[1];
  const float c[] = {c0.x, c0.y, c0.z, c0.w, c1.x, c1.y, c1.z, c1.w};
  const float s[] = {s0.x, s0.y, s0.z, s0.w, s1.x, s1.y, s1.z, s1.w};
#pragma unroll
  for (int i = 0; i < kVectorWidth; ++i) {
    float x = a[i] * c[i] - b[i] * s[i], y = b[i] * c[i] + a[i] * s[i];
    a[i] = x;
    b[i] = y;
  }
  low = pack(a);
  high = pack(b);
}

// A thread's item is 16 values of a head: eight of its first half and the eight that turn with
// them. What the product before does not make is read before it ends (where positions lie was known
// before begin_step's kernel let anything start).
__global__ void __launch_bounds__(kMaxThreads)
    rope_rows(bf16* qkv, const float* cos_sin, bf16* k_pages, bf16* v_pages,
              const int32_t* positions, const int32_t* slots, const int32_t* page_table,
              RopeShape shape) {
  let_next_start();
  int32_t position = __ldcg(positions + blockIdx.x);
  if (position < 0) return;
  bool is_own = shape.split.owns(position);
  int own = shape.split.count(position);  // its place among this rank's positions
  int64_t page = is_own ? __ldcg(page_table + __ldcg(slots + blockIdx.x) * shape.page_table_stride +
                                 own / shape.page_size)
                        : 0;
  int half = shape.dim / 2, items_a_head = half / kVectorWidth;
  int num_heads = shape.num_heads + 2 * shape.num_kv_heads;
  bf16* row = qkv + int64_t{blockIdx.x} * num_heads * shape.dim;
  Angles angles{};
  auto load_angles = [&](int item) {
    angles = Angles::load(cos_sin + int64_t{position} * shape.dim,
                          item % items_a_head * kVectorWidth, half);
  };
  load_angles(threadIdx.x);
  wait_for_previous();
  for (int item = threadIdx.x; item < num_heads * items_a_head; item += blockDim.x) {
    int head = item / items_a_head, at = item % items_a_head * kVectorWidth;
    bf16 *from = row + head * shape.dim + at, *to = from;
    uint4 low = *reinterpret_cast<uint4*>(from), high = *reinterpret_cast<uint4*>(from + half);
    int kv_head = head - shape.num_heads;
    if (kv_head >= 0 && !is_own) break;
    if (item != static_cast<int>(threadIdx.x)) load_angles(item);
    if (kv_head < shape.num_kv_heads) rotate(low, high, angles);
    if (kv_head >= 0) {
      bool is_value = kv_head >= shape.num_kv_heads;
      int64_t line = (page * shape.num_kv_heads + kv_head % shape.num_kv_heads) * shape.page_size +
                     own % shape.page_size;
      to = (is_value ? v_pages : k_pages) + line * shape.dim + at;
    }
    *reinterpret_cast<uint4*>(to) = low;
    *reinterpret_cast<uint4*>(to + half) = high;
  }
}

}  // namespace

void rope_and_store_kv(Stream stream, const RopeAndStoreArgs& a) {
  int64_t dim = a.kv.k.dim(3);
  require(a.kv.k.dim(1) == a.num_kv_heads && a.cos_sin.dim(1) == dim, "rope: shapes");
  require(dim % (2 * kVectorWidth) == 0, "rope: the head dimension must be a multiple of 16");
  if (a.batch.num_tokens == 0) return;
  RopeShape shape{a.num_heads,
                  a.num_kv_heads,
                  static_cast<int>(dim),
                  static_cast<int>(a.kv.page_size()),
                  a.batch.page_table_stride,
                  a.kv.split};
  int items = (a.num_heads + 2 * a.num_kv_heads) * shape.dim / (2 * kVectorWidth);
  int threads = std::min((items + 31) / 32 * 32, kMaxThreads);
  launch(stream,
         {dim3(static_cast<unsigned>(a.batch.num_tokens)), dim3(static_cast<unsigned>(threads))},
         rope_rows, a.qkv.as<bf16>(), a.cos_sin.as<float>(), a.kv.k.as<bf16>(), a.kv.v.as<bf16>(),
         a.batch.positions, a.batch.slots, a.batch.page_table, shape);
}

}  // namespace ll::cuda
