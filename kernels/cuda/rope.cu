// Rotary embedding of q and k, and k and v to their pages; one block a row.
#include "kernels/cuda/rope.cuh"

#include <algorithm>

#include "kernels/cuda/launch.cuh"

namespace ll::cuda {
namespace {

constexpr int kMaxThreads = 512;

// A thread's item is eight values of a head. What the product before does not make is read before
// it ends.
__global__ void __launch_bounds__(kMaxThreads)
    rope_rows(bf16* qkv, const __grid_constant__ RopeTargets r) {
  let_next_start();
  RopePlace place = r.place_of(static_cast<int>(blockIdx.x));
  if (place.position < 0) return;
  int items_a_head = r.dim / kVectorWidth, num_heads = r.num_heads + 2 * r.num_kv_heads;
  bf16* row = qkv + int64_t{blockIdx.x} * num_heads * r.dim;
  auto angles_of = [&](int item) {
    bool turns = r.turns(item / items_a_head);
    return turns ? FourAngles::load(r, place.position, item % items_a_head * kVectorWidth)
                 : FourAngles{};
  };
  FourAngles angles = angles_of(threadIdx.x);
  wait_for_previous();
  for (int item = threadIdx.x; item < num_heads * items_a_head; item += blockDim.x) {
    int head = item / items_a_head, at = item % items_a_head * kVectorWidth;
    bf16 *from = row + head * r.dim, *to = r.head_at(place, head, from);
    if (!to) break;
    if (item != static_cast<int>(threadIdx.x)) angles = angles_of(item);
    float x[kVectorWidth];
    unpack(*reinterpret_cast<uint4*>(from + at), x);
    angles.turn(x);
    *reinterpret_cast<uint4*>(to + at) = pack(x);
  }
}

// The same of heads that are no whole vectors: a thread's item is a pair.
__global__ void __launch_bounds__(kMaxThreads)
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
  bool is_wide = targets.dim % kVectorWidth == 0;
  int items = (a.num_heads + 2 * a.num_kv_heads) * targets.dim / (is_wide ? kVectorWidth : 2);
  int threads = std::min((items + 31) / 32 * 32, kMaxThreads);
  launch(stream,
         {dim3(static_cast<unsigned>(a.batch.num_tokens)), dim3(static_cast<unsigned>(threads))},
         is_wide ? rope_rows : rope_pairs, a.qkv.as<bf16>(), targets);
}

}  // namespace ll::cuda
