#pragma once
// The arithmetic of a prefill warp: pages of keys and values into a running softmax of its rows,
// each one query head of one token. Of each 16 rows, a lane has l / 4 and l / 4 + 8.
#include "kernels/cuda/attention/sm80/prefill_shape.cuh"
#include "kernels/cuda/ptx/mma.cuh"
#include "kernels/cuda/ptx/portable.cuh"

namespace ll::cuda::sm80 {

template <class S>
struct RowSoftmax {
  using Rows = HeadRows<S::kHeadDim>;
  static constexpr int kM = S::kRowTiles;

  uint32_t queries[S::kHoldsQueries ? S::kSteps : 1][kM][4];
  float scores[kM][kPagePositions / 8][4];
  float out[kM][S::kHeadDim / 8][4] = {};
  float max[kM][2], sum[kM][2];  // sums are of this lane's columns
  int last_seen[kM][2];          // position

  __device__ RowSoftmax(const PrefillArgs& a, const PrefillTile& tile, int first_row) {
    int lane = threadIdx.x % 32;
#pragma unroll
    for (int m = 0; m < kM; ++m)
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        max[m][r] = -kInfinity;
        sum[m][r] = 0;
        int token = (first_row + 16 * m + 8 * r + lane / 4) / a.pack;
        last_seen[m][r] = a.last_seen(tile.first_position + token);
      }
  }

  // Those of a step of 16 dims; `from` is this lane's address of the warp's rows.
  __device__ void load_queries(uint32_t (&q)[kM][4], uint32_t from, int step) const {
#pragma unroll
    for (int m = 0; m < kM; ++m) load_matrices(q[m], Rows::block(from, m, step));
  }
  __device__ void hold_queries(uint32_t from) {
    if constexpr (S::kHoldsQueries)
#pragma unroll
      for (int i = 0; i < S::kSteps; ++i) load_queries(queries[i], from, i);
  }

  __device__ void multiply_keys(uint32_t query_address, uint32_t keys) {
    uint32_t lane_address = keys + Rows::columns_first();
#pragma unroll
    for (int m = 0; m < kM; ++m)
#pragma unroll
      for (int n = 0; n < kPagePositions / 8; ++n)
#pragma unroll
        for (int e = 0; e < 4; ++e) scores[m][n][e] = 0;
#pragma unroll
    for (int i = 0; i < S::kSteps; ++i) {
      auto& q = queries[S::kHoldsQueries ? i : 0];
      if constexpr (!S::kHoldsQueries) load_queries(q, query_address, i);
#pragma unroll
      for (int n = 0; n < kPagePositions / 16; ++n) {
        uint32_t k[4];
        load_matrices(k, Rows::block(lane_address, n, i));
#pragma unroll
        for (int m = 0; m < kM; ++m) {
          multiply_matrices(scores[m][2 * n], q[m], k[0], k[1]);
          multiply_matrices(scores[m][2 * n + 1], q[m], k[2], k[3]);
        }
      }
    }
  }

  // No row sees positions behind its own; `first` is the page's first.
  __device__ void mask(int first) {
#pragma unroll
    for (int m = 0; m < kM; ++m)
#pragma unroll
      for (int n = 0; n < kPagePositions / 8; ++n)
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          int at = first + 8 * n + static_cast<int>(threadIdx.x % 4) * 2 + e % 2;
          if (at > last_seen[m][e / 2]) scores[m][n][e] = -kInfinity;
        }
  }

  // Scores become probabilities relative to the maxima so far.
  __device__ void soften(float scale) {
    raise_maxima(scale);
#pragma unroll
    for (int m = 0; m < kM; ++m)
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        // A row that has seen nothing yet, as it ends before this page: zeros instead of NaN.
        float most = max[m][r] == -kInfinity ? 0.0f : max[m][r] * scale;
#pragma unroll
        for (int n = 0; n < kPagePositions / 8; ++n)
#pragma unroll
          for (int e = 2 * r; e < 2 * r + 2; ++e) {
            scores[m][n][e] = exp2_fast(fmaf(scores[m][n][e], scale, -most));
            sum[m][r] += scores[m][n][e];
          }
      }
  }

  __device__ void multiply_values(uint32_t values) {
    uint32_t lane_address = values + Rows::rows_first();
#pragma unroll
    for (int i = 0; i < kPagePositions / 16; ++i) {
      uint32_t p[kM][4];  // a result's layout, two columns of tiles of it, is an operand's
#pragma unroll
      for (int m = 0; m < kM; ++m)
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          const float* pair = &scores[m][2 * i + e / 2][e % 2 * 2];
          p[m][e] = pack_pair(pair[0], pair[1]);
        }
#pragma unroll
      for (int n = 0; n < S::kHeadDim / 16; ++n) {
        uint32_t v[4];
        load_transposed(v, Rows::block(lane_address, i, n));
#pragma unroll
        for (int m = 0; m < kM; ++m) {
          multiply_matrices(out[m][2 * n], p[m], v[0], v[1]);
          multiply_matrices(out[m][2 * n + 1], p[m], v[2], v[3]);
        }
      }
    }
  }

 private:
  __device__ void raise_maxima(float scale) {
    float tops[kM][2];
    bool is_higher = false;
#pragma unroll
    for (int m = 0; m < kM; ++m)
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        float top = max[m][r];
#pragma unroll
        for (int n = 0; n < kPagePositions / 8; ++n)
          top = fmaxf(top, fmaxf(scores[m][n][2 * r], scores[m][n][2 * r + 1]));
        top = fmaxf(top, __shfl_xor_sync(kFullWarp, top, 1));
        top = fmaxf(top, __shfl_xor_sync(kFullWarp, top, 2));
        is_higher = is_higher || top > max[m][r];
        tops[m][r] = top;
      }
    // Seldom after the first few pages.
    if (__any_sync(kFullWarp, is_higher)) rescale(tops, scale);
  }

  __device__ void rescale(const float (&tops)[kM][2], float scale) {
#pragma unroll
    for (int m = 0; m < kM; ++m)
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        bool is_first = max[m][r] == -kInfinity;
        float factor = is_first ? 0.0f : exp2_fast((max[m][r] - tops[m][r]) * scale);
        max[m][r] = tops[m][r];
        sum[m][r] *= factor;
#pragma unroll
        for (int n = 0; n < S::kHeadDim / 8; ++n) {
          out[m][n][2 * r] *= factor;
          out[m][n][2 * r + 1] *= factor;
        }
      }
  }
};

}  // namespace ll::cuda::sm80
