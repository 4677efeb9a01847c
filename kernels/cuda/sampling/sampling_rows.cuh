#pragma once
// Rows of logits cut into slices, a block each: block (slice, row). The slices of a row meet
// through scratch memory, and the block that comes last finishes the row. A slice's size is fixed,
// so what a row gives does not depend on the batch.
#include <algorithm>
#include <cfloat>
#include <limits>

#include "base/numbers.h"
#include "kernels/cuda/device/cuda_device.h"
#include "kernels/cuda/device/cuda_ops.h"
#include "kernels/cuda/device/device_math.cuh"
#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/device/workspace.h"

namespace ll::cuda {

constexpr int kSliceThreads = 256;
constexpr int kSliceGroups = 4;                 // of four neighbouring logits, for each thread
constexpr int kSliceValues = 4 * kSliceGroups;  // logits a thread holds
constexpr int kSlice = kSliceThreads * kSliceValues;  // logits of a block
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// [num_rows, vocab] float32. is_aligned: every row starts at a multiple of 16 bytes.
struct Logits {
  float* data;
  int vocab;
  bool is_aligned;

  __device__ float* row(int64_t r) const { return data + r * vocab; }
};

// Where value `v` of this thread stands in its row; at and past `vocab` there is nothing.
__device__ inline int slice_index(int slice, int v) {
  return slice * kSlice + (v / 4 * kSliceThreads + static_cast<int>(threadIdx.x)) * 4 + v % 4;
}

// The slice's logits; -inf past the row's end.
__device__ inline void load_slice(const Logits& logits, int64_t row, int slice,
                                  float (&x)[kSliceValues]) {
  const float* from = logits.row(row);
#pragma unroll
  for (int g = 0; g < kSliceGroups; ++g) {
    int i = slice_index(slice, 4 * g);
    if (logits.is_aligned && i < logits.vocab) {  // then vocab is a multiple of 4, too
      float4 four = *reinterpret_cast<const float4*>(from + i);
      x[4 * g] = four.x, x[4 * g + 1] = four.y, x[4 * g + 2] = four.z, x[4 * g + 3] = four.w;
      continue;
    }
#pragma unroll
    for (int e = 0; e < 4; ++e) x[4 * g + e] = i + e < logits.vocab ? from[i + e] : -kInfinity;
  }
}

__device__ inline uint32_t key_of(float x) { return ordered_key(__float_as_uint(x)); }

__device__ inline float number_of(uint32_t key) {
  return __uint_as_float(key & 0x80000000u ? key & 0x7fffffffu : ~key);
}
// Equal numbers, -0 and 0 among them, have one key; what is no candidate is below kLeastKey.
__device__ inline uint32_t candidate_key(float x) { return x == x ? key_of(x + 0.0f) : 0; }

// A candidate as one number: the larger score is the larger number, then the lower token. 0: none;
// so are NaN scores.
using Packed = unsigned long long;
__device__ inline Packed pack_candidate(float score, int32_t token) {
  if (!(score == score)) return 0;
  return Packed{key_of(score + 0.0f)} << 32 | ~static_cast<uint32_t>(token);  // + 0: -0 becomes 0
}
__device__ inline float score_of(Packed p) { return number_of(static_cast<uint32_t>(p >> 32)); }
__device__ inline int32_t token_of(Packed p) {
  return static_cast<int32_t>(~static_cast<uint32_t>(p));
}

// The keys of the slice's granules, each of which a warp has in one of its groups.
static_assert(kGranule == 4 * 32, "four values a thread");
__device__ inline void note_granules(const Logits& logits, int64_t row, int slice,
                                     const float (&x)[kSliceValues], uint32_t* granule_keys) {
  auto count = static_cast<int>(num_granules(logits.vocab));
#pragma unroll
  for (int g = 0; g < kSliceGroups; ++g) {
    uint32_t key = 0;
#pragma unroll
    for (int e = 0; e < 4; ++e) key = max(key, candidate_key(x[4 * g + e]));
    key = __reduce_max_sync(kFullWarp, key);
    int at = slice_index(slice, 4 * g) / kGranule;
    if (threadIdx.x % 32 == 0 && at < count) granule_keys[row * count + at] = key;
  }
}

// Whether this block is the last of `count` to come to `ticket`; what the others wrote before is
// then visible to all its threads. The last one leaves the ticket zero.
__device__ inline bool arrives_last(uint32_t* ticket, uint32_t count) {
  __shared__ bool is_last;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    is_last = atomicAdd(ticket, 1u) == count - 1;
    if (is_last) *ticket = 0;
    __threadfence();
  }
  __syncthreads();
  return is_last;
}

inline Logits logits_of(const TensorView& view) {
  require(view.dim(1) <= std::numeric_limits<int32_t>::max() / 2, "logits: too many columns");
  bool in_vectors = view.dim(1) % 4 == 0 && is_aligned(view.data, sizeof(float4));
  return {view.as<float>(), static_cast<int>(view.dim(1)), in_vectors};
}

inline int num_slices(int64_t vocab) { return static_cast<int>(ceil_div(vocab, kSlice)); }

// A block for each slice of each row.
inline LaunchShape slices_of(const TensorView& logits) {
  return {
      dim3(static_cast<unsigned>(num_slices(logits.dim(1))), static_cast<unsigned>(logits.dim(0))),
      dim3(kSliceThreads)};
}

// Room for `count` entries that the slices of one op leave for the last of them.
template <class T>
T* slice_results(Stream stream, int64_t count) {
  require(static_cast<size_t>(count) * sizeof(T) <= Workspace::kScratchBytes,
          "sampling: too many rows at once");
  return static_cast<T*>(workspace_of(stream).scratch.data);
}

// One zeroed T a row, left zero.
template <class T>
T* row_counters(Stream stream, int64_t rows) {
  require(static_cast<size_t>(rows) * sizeof(T) <= Workspace::kCounterBytes,
          "sampling: too many rows at once");
  return static_cast<T*>(workspace_of(stream).zeroed_counters.data);
}

}  // namespace ll::cuda
