// Rotary embedding of q and k, and k and v to their pages; one block a row.
#include "kernels/cuda/rows/rope.cuh"

#include <algorithm>

#include "kernels/cuda/device/launch.cuh"

namespace ll::cuda {
namespace {

constexpr int kRowThreads = 128, kHeadsAtOnce = 5, kMaxPairThreads = 512;

// A thread has the same eight values of several heads, which turn by the same angles, and asks for
// a few of them at once. What the product before does not make is read before it ends.
__global__ void __launch_bounds__(kRowThreads)
    rope_rows(bf16* qkv, const __grid_constant__ RopeTargets r) {
  let_next_start();
  RopePlace place = r.place_of(static_cast<int>(blockIdx.x));
  if (place.position < 0) return;
  int threads_a_head = r.dim / kVectorWidth, num_heads = r.num_heads + 2 * r.num_kv_heads,
      step = static_cast<int>(blockDim.x) / threads_a_head,
      at = static_cast<int>(threadIdx.x) % threads_a_head * kVectorWidth;
  FourAngles angles = FourAngles::load(r, place.position, at);
  bf16* row = qkv + int64_t{blockIdx.x} * num_heads * r.dim;
  wait_for_previous();
  for (int first = static_cast<int>(threadIdx.x) / threads_a_head; first < num_heads;
       first += kHeadsAtOnce * step) {
    uint4 values[kHeadsAtOnce];
#pragma unroll
    for (int i = 0; i < kHeadsAtOnce; ++i)
      if (int head = first + i * step; head < num_heads)
        values[i] = *reinterpret_cast<const uint4*>(row + head * r.dim + at);
#pragma unroll
    for (int i = 0; i < kHeadsAtOnce; ++i) {
      int head = first + i * step;
      bf16* to = head < num_heads ? r.head_at(place, head, row + head * r.dim) : nullptr;
      if (!to) continue;
      if (r.turns(head)) {
        float x[kVectorWidth];
        unpack(values[i], x);
        angles.turn(x);
        values[i] = pack(x);
      }
      *reinterpret_cast<uint4*>(to + at) = values[i];
    }
  }
}

// The same of heads that are no whole vectors: a thread's item is a pair.
__global__ void __launch_bounds__(kMaxPairThreads)
    rope_pairs(bf16* qkv, const __grid_constant__ RopeTargets r) {
  let_next_start();
  wait_for_previous();
  RopePlace place = r.place_of(static_cast<int>(blockIdx.x));
  if (place.position < 0) return;
  int pairs_a_head = r.dim / 2, num_heads = r.num_heads + 2 * r.num_kv_heads;
  bf16* row = qkv + int64_t{blockIdx.x} * num_heads * r.dim;
  for (int item = threadIdx.x; item < num_heads * pairs_a_head; item += blockDim.x) {
    int head = item / pairs_a_head, i = item % pairs_a_head;
    bf16 *from = row + head * r.dim, *to = r.head_at(place, head, from);
    if (!to) break;
    uint32_t pair = reinterpret_cast<uint32_t*>(from)[i];
    reinterpret_cast<uint32_t*>(to)[i] =
        r.turned_pair(place.position, head, i, low_half(pair), high_half(pair));
  }
}

}  // namespace

void rope_and_store_kv(Stream stream, const RopeAndStoreArgs& a) {
  RopeTargets targets = rope_targets(a);
  if (a.batch.num_tokens == 0) return;
  int num_heads = a.num_heads + 2 * a.num_kv_heads, threads_a_head = targets.dim / kVectorWidth;
  bool is_wide = targets.dim % kVectorWidth == 0 && threads_a_head <= kRowThreads;
  int threads = is_wide ? threads_a_head * std::min(kRowThreads / threads_a_head, num_heads)
                        : std::min(num_heads * targets.dim / 2, kMaxPairThreads);
  launch(stream,
         {dim3(static_cast<unsigned>(a.batch.num_tokens)), dim3(static_cast<unsigned>(threads))},
         is_wide ? rope_rows : rope_pairs, a.qkv.as<bf16>(), targets);
}

}  // namespace ll::cuda
