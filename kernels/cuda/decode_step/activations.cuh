#pragma once
// Between the products of the persistent decode kernel: from flagged words to a product's input,
// and from its sums to the next words.
#include "base/numbers.h"
#include "kernels/cuda/decode_step/memory.cuh"

namespace ll::cuda {

// ---- the inputs of products, from words to bfloat16 in shared memory

// Which of kCount words a thread has: pair c begins with word first(c).
template <int kCount>
struct ThreadPairs {
  static constexpr int kPairs = ceil_div(kCount / 2, kConsumers);
  static_assert(kCount % 2 == 0);
  static __device__ int first(int c) { return 2 * static_cast<int>(threadIdx.x + c * kConsumers); }
};

__device__ inline bf16 load_constant(const bf16* from) {
  return {__ldg(reinterpret_cast<const uint16_t*>(from))};
}

template <int kCount>
struct Gains {
  uint32_t pairs[ThreadPairs<kCount>::kPairs];
};

// A norm's weights, before the words they are for are there.
template <int kCount>
__device__ Gains<kCount> load_gains(const bf16* norm) {
  using T = ThreadPairs<kCount>;
  Gains<kCount> gains;
#pragma unroll
  for (int c = 0; c < T::kPairs; ++c)
    gains.pairs[c] =
        T::first(c) < kCount ? __ldg(reinterpret_cast<const uint32_t*>(norm + T::first(c))) : 0;
  return gains;
}

// The residual stream from words [kRanks, kCount]: the sum over ranks, in their order.
template <int kCount, int kRanks>
__device__ void load_residual(const uint64_t* words, uint32_t epoch,
                              float2 (&x)[ThreadPairs<kCount>::kPairs]) {
  using T = ThreadPairs<kCount>;
  constexpr int kAtOnce = std::min(kRanks, 2);
  static_assert(kRanks % kAtOnce == 0);
#pragma unroll
  for (int rank = 0; rank < kRanks; rank += kAtOnce) {
    WordPair pairs[T::kPairs * kAtOnce];
    await_pairs<(kRanks > 1)>(
        [&](int i) {
          int first = T::first(i / kAtOnce);
          return PairSource{first < kCount, words + (rank + i % kAtOnce) * kCount + first};
        },
        epoch, pairs);
#pragma unroll
    for (int i = 0; i < T::kPairs * kAtOnce; ++i) {
      float2 part = {float_of(pairs[i].x), float_of(pairs[i].y)}, &sum = x[i / kAtOnce];
      sum = rank + i % kAtOnce == 0 ? part : float2{sum.x + part.x, sum.y + part.y};
    }
  }
}

// x = words / rms(words) * gains, `words` the residual stream.
template <int kCount, int kRanks>
__device__ void load_normed(const uint64_t* words, const Gains<kCount>& gains, float eps,
                            uint32_t epoch, float* warp_sums, bf16* x) {
  using T = ThreadPairs<kCount>;
  float2 pairs[T::kPairs];
  load_residual<kCount, kRanks>(words, epoch, pairs);
  float sum = 0;
#pragma unroll
  for (int c = 0; c < T::kPairs; ++c)
    if (T::first(c) < kCount) sum += pairs[c].x * pairs[c].x + pairs[c].y * pairs[c].y;
  sum = warp_sum(sum);
  if (threadIdx.x % 32 == 0) warp_sums[threadIdx.x / 32] = sum;
  sync_consumers();
  sum = 0;
#pragma unroll
  for (int w = 0; w < kWarps; ++w) sum += warp_sums[w];
  float scale = rsqrtf(sum / kCount + eps);
#pragma unroll
  for (int c = 0; c < T::kPairs; ++c)
    if (T::first(c) < kCount)
      *reinterpret_cast<uint32_t*>(x + T::first(c)) =
          pack_pair(pairs[c].x * scale * low_half(gains.pairs[c]),
                    pairs[c].y * scale * high_half(gains.pairs[c]));
  sync_consumers();
}

// x = kCount words of two bfloat16 each; so many at a time that registers hold them.
template <int kCount>
__device__ void load_packed(const uint64_t* words, uint32_t epoch, bf16* x) {
  using T = ThreadPairs<kCount>;
  constexpr int kPairs = std::min(T::kPairs, 10), kBatch = 2 * kPairs * kConsumers;
#pragma unroll
  for (int begin = 0; begin < kCount; begin += kBatch) {
    auto first = [&](int c) { return begin + T::first(c); };
    WordPair pairs[kPairs];
    await_pairs(
        [&](int c) {
          return PairSource{first(c) < kCount, words + first(c)};
        },
        epoch, pairs);
#pragma unroll
    for (int c = 0; c < kPairs; ++c)
      if (first(c) < kCount)
        *reinterpret_cast<uint2*>(x + 2 * first(c)) =
            make_uint2(data_of(pairs[c].x), data_of(pairs[c].y));
  }
  sync_consumers();
}

// ---- the outputs of products

// This rank's part of an element of the residual stream, to all ranks' words [ranks, E].
template <FusedShape kShape>
__device__ void publish_residual(const FusedArgs& a, uint64_t* words, int element, float x,
                                 uint32_t epoch) {
  if constexpr (kShape.ranks == 1) return store_word(words + element, flagged(x, epoch));
  auto* to = reinterpret_cast<char*>(words + a.rank * kShape.hidden + element);
#pragma unroll
  for (int r = 0; r < kShape.ranks; ++r)
    store_remote_word(reinterpret_cast<uint64_t*>(to + a.rooms[r]), flagged(x, epoch));
}

// A thread has an element of the residual stream, if there are so many: adds a product's row to it.
template <FusedShape kShape, class P>
__device__ void add_to_residual(const FusedArgs& a, uint64_t* words, uint32_t epoch) {
  SharedMemory<kShape>& shared = shared_memory<kShape>();
  int thread = threadIdx.x;
  if (thread >= shared.shares[kO].num_rows) return;
  float x = shared.residual[thread] + sum_of_row<P>(shared.product.sums, thread);
  shared.residual[thread] = x;
  publish_residual<kShape>(a, words, shared.shares[kO].first_row + thread, x, epoch);
}

// silu(gate) * up of this CTA's rows, which alternate gate, up.
template <class P>
__device__ void publish_act(uint64_t* act, const Share& share, const float* sums, uint32_t epoch) {
  for (int i = threadIdx.x; i < share.num_rows / 4; i += kConsumers) {
    float v[4];
#pragma unroll
    for (int j = 0; j < 4; ++j) v[j] = sum_of_row<P>(sums, 4 * i + j);
    store_word(act + share.first_row / 4 + i,
               flagged(pack_pair(silu(v[0]) * v[1], silu(v[2]) * v[3]), epoch));
  }
}

}  // namespace ll::cuda
