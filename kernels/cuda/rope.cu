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

}  // namespace

void rope_and_store_kv(Stream stream, const RopeAndStoreArgs& a) {
  RopeTargets targets = rope_targets(a);
  if (a.batch.num_tokens == 0) return;
  int items = (a.num_heads + 2 * a.num_kv_heads) * targets.dim / kVectorWidth;
  int threads = std::min((items + 31) / 32 * 32, kMaxThreads);
  launch(stream,
         {dim3(static_cast<unsigned>(a.batch.num_tokens)), dim3(static_cast<unsigned>(threads))},
         rope_rows, a.qkv.as<bf16>(), targets);
}

}  // namespace ll::cuda
