#pragma once
// The arithmetic of a decode warp: a unit of keys and values into a running softmax. Products are
// transposed, S^T = K Q^T and O^T = V^T P^T: 16 positions (then 16 dims) are the matrix product's
// M, the heads of the group its N = 8. Queries as M would waste half of every product and half of
// the registers of O. P moves from one product's result to the next one's operand by movmatrix.
#include "kernels/cuda/attention/sm80/decode_run.cuh"
#include "kernels/cuda/attention/sm80/decode_shape.cuh"
#include "kernels/cuda/ptx/mma.cuh"
#include "kernels/cuda/ptx/portable.cuh"

namespace ll::cuda::sm80 {

// A group's queries as the operand B: a lane has those of head l / 4. They are loaded before it is
// their turn.
template <class S>
struct GroupQueries {
  uint32_t pairs[S::kHeadDim / 16][2];

  __device__ void load(const DecodeArgs& a, const Group& g) {
    int lane = threadIdx.x % 32, group = a.group(), head = lane / 4;
    int64_t width = int64_t{a.num_heads + 2 * a.num_kv_heads} * S::kHeadDim;
    const bf16* from = a.qkv + g.row * width +
                       (g.kv_head * group + smaller(head, group - 1)) * S::kHeadDim + lane % 4 * 2;
#pragma unroll
    for (int i = 0; i < S::kHeadDim / 16; ++i)
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        uint32_t pair = *reinterpret_cast<const uint32_t*>(from + 16 * i + 8 * j);
        pairs[i][j] = head < group ? pair : 0;
      }
  }
};

// The softmax of one group over this warp's positions. A lane has heads head() and the next.
template <class S>
struct WarpSoftmax {
  using Rows = HeadRows<S::kHeadDim>;
  static constexpr int kSteps = S::kHeadDim / 16;

  float out[kSteps][4] = {};  // O^T: dims 16 i + l / 4 (and + 8), heads head() and the next
  float max[2] = {-kInfinity, -kInfinity}, sum[2] = {0, 0};  // sums are of this lane's positions
  uint32_t p[2];                                             // P^T of the unit, the operand B

  static __device__ int head() { return threadIdx.x % 4 * 2; }

  // `valid` of the unit's positions are there, at least one.
  __device__ void attend_keys(const GroupQueries<S>& queries, uint32_t keys, int valid,
                              float scale) {
    float scores[2][4] = {};  // two sums, so that a product need not wait for the one before
    uint32_t lane_address = keys + Rows::rows_first();
#pragma unroll
    for (int i = 0; i < kSteps; ++i) {
      uint32_t k[4];
      load_matrices(k, Rows::block(lane_address, 0, i));
      multiply_matrices(scores[i % 2], k, queries.pairs[i][0], queries.pairs[i][1]);
    }
    float s[2][2];  // [position l / 4 + 8 i][head]
#pragma unroll
    for (int i = 0; i < 2; ++i)
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        bool is_there = static_cast<int>(threadIdx.x % 32 / 4) + 8 * i < valid;
        s[i][j] = is_there ? scores[0][2 * i + j] + scores[1][2 * i + j] : -kInfinity;
      }
    raise_maxima(s, scale);
#pragma unroll
    for (int i = 0; i < 2; ++i) {
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        s[i][j] = exp2_fast(fmaf(s[i][j], scale, -max[j] * scale));
        sum[j] += s[i][j];
      }
      p[i] = transpose_matrix(pack_pair(s[i][0], s[i][1]));  // lanes have a position; now a head
    }
  }

  __device__ void attend_values(uint32_t values) {
    uint32_t lane_address = values + Rows::columns_first();
#pragma unroll
    for (int i = 0; i < kSteps; ++i) {
      uint32_t v[4];
      load_transposed(v, Rows::block(lane_address, 0, i));
      multiply_matrices(out[i], v, p[0], p[1]);
    }
  }

  // Over all of this warp's positions.
  __device__ float whole_sum(int j) const {
    float all = sum[j];
#pragma unroll
    for (int lanes = 4; lanes < 32; lanes *= 2) all += __shfl_xor_sync(kFullWarp, all, lanes);
    return all;
  }

 private:
  __device__ void raise_maxima(const float (&s)[2][2], float scale) {
    float top[2];
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      top[j] = fmaxf(max[j], fmaxf(s[0][j], s[1][j]));
#pragma unroll
      for (int lanes = 4; lanes < 32; lanes *= 2)
        top[j] = fmaxf(top[j], __shfl_xor_sync(kFullWarp, top[j], lanes));
    }
    // Seldom after the first few units.
    if (__any_sync(kFullWarp, top[0] > max[0] || top[1] > max[1])) rescale(top, scale);
  }

  __device__ void rescale(const float (&top)[2], float scale) {
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      float factor = exp2_fast((max[j] - top[j]) * scale);
      max[j] = top[j];
      sum[j] *= factor;
#pragma unroll
      for (int i = 0; i < kSteps; ++i) {
        out[i][j] *= factor;
        out[i][2 + j] *= factor;
      }
    }
  }
};

}  // namespace ll::cuda::sm80
