#pragma once
// The end of a product, shared by our kernels: bias, then rounding, SiLU-and-mul, or RoPE.
#include "kernels/cuda/device/cuda_ops.h"
#include "kernels/cuda/device/device_math.cuh"
#include "kernels/cuda/rows/rope.cuh"

namespace ll::cuda {

enum class OutputKind : uint8_t { kBf16, kFloat, kSilu, kRope, kNorm };

// [num_x, rows], [rows], and the rows' sums of squares.
struct NormTargets {
  bf16* residual;
  const bf16* gain;
  uint64_t* squares;
};

struct LinearOutput {
  void* data;        // [num_x, rows], or [num_x, rows / 2] after SiLU-and-mul
  const bf16* bias;  // [rows] or null
  int num_x, rows;
  OutputKind kind;
  RopeTargets rope;           // of OutputKind::kRope
  NormTargets norm;           // of OutputKind::kNorm
  const uint64_t* x_squares;  // or null
  float width, eps;           // of x

  // Whether rows of W belong together in pairs.
  __host__ __device__ bool has_pairs() const {
    return kind == OutputKind::kSilu || kind == OutputKind::kRope;
  }
  __device__ float bias_of(int row) const { return bias ? widen(bias[row]) : 0.0f; }

  // Where a row of x goes; may be asked before wait_for_previous, and should be.
  __device__ RopePlace place_of(int x) const {
    return kind == OutputKind::kRope ? rope.place_of(x) : RopePlace{};
  }

  // sum: with its bias; not of pairs. Returns the square of what was stored, of OutputKind::kNorm;
  // else 0.
  __device__ float store(int x, int row, float sum) const {
    int64_t at = int64_t{x} * rows + row;
    if (kind == OutputKind::kFloat) {
      static_cast<float*>(data)[at] = sum;
    } else if (kind == OutputKind::kNorm) {
      bf16 stored = narrow(widen(norm.residual[at]) + widen(narrow(sum)));
      norm.residual[at] = stored;
      static_cast<bf16*>(data)[at] = narrow(widen(stored) * widen(norm.gain[row]));
      return widen(stored) * widen(stored);
    } else {
      static_cast<bf16*>(data)[at] = narrow(sum);
    }
    return 0;
  }

  // The sums of rows `row` (even) and `row` + 1, with their bias.
  __device__ void store_pair(int x, int row, float first, float second,
                             const RopePlace& place) const {
    int64_t at = int64_t{x} * rows + row;
    if (kind == OutputKind::kSilu) {
      static_cast<bf16*>(data)[at / 2] = narrow(silu(first) * second);
      return;
    }
    bf16* to = turned_at(at, row, place);
    if (!to) return;
    *reinterpret_cast<uint32_t*>(to) =
        rope.turned_pair(place.position, row / rope.dim, row % rope.dim / 2, first, second);
  }

  // What rows `row` to `row` + 7 (multiples of eight, as `rows` and heads are) of one row of x need
  // besides their sums; it can be loaded while these are made.
  struct Eight {
    uint4 bias{};
    FourAngles angles;
    void* to;              // null: nothing is stored
    uint4 residual, gain;  // of OutputKind::kNorm
  };
  template <OutputKind kKind>
  __device__ Eight eight_at(int x, int row, const RopePlace& place) const {
    Eight e;
    if (bias) e.bias = *reinterpret_cast<const uint4*>(bias + row);
    int64_t at = int64_t{x} * rows + row;
    if constexpr (kKind == OutputKind::kFloat) {
      e.to = static_cast<float*>(data) + at;
    } else if constexpr (kKind == OutputKind::kRope) {
      e.to = turned_at(at, row, place);
      if (e.to && rope.turns(row / rope.dim))
        e.angles = FourAngles::load(rope, place.position, row % rope.dim);
    } else {
      e.to = static_cast<bf16*>(data) + (kKind == OutputKind::kSilu ? at / 2 : at);
    }
    if constexpr (kKind == OutputKind::kNorm) {
      e.residual = *reinterpret_cast<const uint4*>(norm.residual + at);
      e.gain = *reinterpret_cast<const uint4*>(norm.gain + row);
    }
    return e;
  }
  // Returns the sum of the squares of what was stored, of OutputKind::kNorm; else 0.
  template <OutputKind kKind>
  __device__ float store_eight(const Eight& e, float (&sums)[8], float scale) const {
    if (x_squares) {
#pragma unroll
      for (int i = 0; i < 8; ++i) sums[i] *= scale;
    }
    float biases[8];
    unpack(e.bias, biases);
#pragma unroll
    for (int i = 0; i < 8; ++i) sums[i] += biases[i];
    if constexpr (kKind == OutputKind::kFloat) {
      auto* to = static_cast<float4*>(e.to);
      if (!to) return 0;
      to[0] = make_float4(sums[0], sums[1], sums[2], sums[3]);
      to[1] = make_float4(sums[4], sums[5], sums[6], sums[7]);
    } else if constexpr (kKind == OutputKind::kSilu) {
      float y[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) y[i] = silu(sums[2 * i]) * sums[2 * i + 1];
      uint2 pairs = make_uint2(pack_pair(y[0], y[1]), pack_pair(y[2], y[3]));
      if (e.to) *static_cast<uint2*>(e.to) = pairs;
    } else if constexpr (kKind == OutputKind::kNorm) {
      if (!e.to) return 0;
      uint4 sum = add_rounded(e.residual, pack(sums));
      auto at = static_cast<bf16*>(e.to) - static_cast<bf16*>(data);
      *reinterpret_cast<uint4*>(norm.residual + at) = sum;
      *static_cast<uint4*>(e.to) = scaled(sum, 1.0f, e.gain);
      return square_sum(sum);
    } else {
      if constexpr (kKind == OutputKind::kRope) e.angles.turn(sums);  // values by nothing
      if (e.to) *static_cast<uint4*>(e.to) = pack(sums);
    }
    return 0;
  }
  // To those of a row.
  __device__ void add_to_norm(int x, float squares) const {
    add_squares(norm.squares + x * kSquaresStride, squares);
  }
  // What a row of x that lacks its scale has instead: its squares, and the scale they make.
  __device__ uint64_t squares_of(int x) const {
    return x_squares ? __ldcg(x_squares + x * kSquaresStride) : 0;
  }
  __device__ float scale_of(uint64_t squares) const { return row_scale_of(squares, width, eps); }

  // Calls visit.operator()<kind>(): loops that store are compiled for each kind.
  template <class Visit>
  __device__ void with_kind(Visit&& visit) const {
    switch (kind) {
      case OutputKind::kBf16:
        return visit.template operator()<OutputKind::kBf16>();
      case OutputKind::kFloat:
        return visit.template operator()<OutputKind::kFloat>();
      case OutputKind::kSilu:
        return visit.template operator()<OutputKind::kSilu>();
      case OutputKind::kRope:
        return visit.template operator()<OutputKind::kRope>();
      case OutputKind::kNorm:
        return visit.template operator()<OutputKind::kNorm>();
    }
  }

 private:
  // Where RoPE's output `row`, which is number `at` of the product, goes; null: nowhere.
  __device__ bf16* turned_at(int64_t at, int row, const RopePlace& place) const {
    int within = row % rope.dim;
    bf16* head = rope.head_at(place, row / rope.dim, static_cast<bf16*>(data) + at - within);
    return head ? head + within : nullptr;
  }
};

inline OutputKind output_kind(const LinearArgs& a) {
  switch (a.ending.kind()) {
    case Ending::Kind::kSiluAndMul:
      return OutputKind::kSilu;
    case Ending::Kind::kRope:
      return OutputKind::kRope;
    case Ending::Kind::kNorm:
      return OutputKind::kNorm;
    case Ending::Kind::kNone:
      break;
  }
  return a.out.dtype == DType::f32 ? OutputKind::kFloat : OutputKind::kBf16;
}

inline LinearOutput output_of(const LinearArgs& a) {
  const AddRmsNormArgs* norm = a.ending.norm();
  LinearOutput out{};
  out.data = norm ? norm->out.data : a.out.data;
  out.bias = a.bias.empty() ? nullptr : a.bias.as<bf16>();
  out.num_x = static_cast<int>(a.x.dim(0));
  out.rows = static_cast<int>(a.weight.rows);
  out.kind = output_kind(a);
  if (a.ending.rope()) out.rope = rope_targets(*a.ending.rope());
  if (norm)
    out.norm = {.residual = norm->residual.as<bf16>(),
                .gain = norm->weight.as<bf16>(),
                .squares = norm->row_squares};
  if (a.x_squares) {
    out.x_squares = a.x_squares->sums;
    out.width = static_cast<float>(a.weight.cols);
    out.eps = a.x_squares->eps;
  }
  return out;
}

}  // namespace ll::cuda
