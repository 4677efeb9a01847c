#pragma once
// The end of a product, shared by our kernels: bias, SiLU-and-mul, rounding.
#include "kernels/cuda/cuda_ops.h"
#include "kernels/cuda/device_math.cuh"

namespace ll::cuda {

struct LinearOutput {
  void* data;        // [num_x, rows], or [num_x, rows / 2] after SiLU-and-mul
  const bf16* bias;  // [rows] or null
  int num_x, rows;
  bool is_float, is_silu;

  __device__ float bias_of(int row) const { return bias ? widen(bias[row]) : 0.0f; }

  // sum: with its bias
  __device__ void store(int x, int row, float sum) const { store_at(int64_t{x} * rows + row, sum); }

  // The sums of rows `row` (even) and `row` + 1.
  __device__ void store_pair(int x, int row, float gate, float up) const {
    store_at(int64_t{x} * (rows / 2) + row / 2, silu(gate) * up);
  }

  // The sums of rows `row` (a multiple of four, as `rows` is) to `row` + 3, without their bias.
  __device__ void store_four(int x, int row, float4 sum) const {
    float v[4] = {sum.x, sum.y, sum.z, sum.w};
#pragma unroll
    for (int i = 0; i < 4; ++i) v[i] += bias_of(row + i);
    int64_t at = int64_t{x} * rows + row;
    if (is_silu)
      *reinterpret_cast<uint32_t*>(static_cast<bf16*>(data) + at / 2) =
          pack_pair(silu(v[0]) * v[1], silu(v[2]) * v[3]);
    else if (is_float)
      *reinterpret_cast<float4*>(static_cast<float*>(data) + at) =
          make_float4(v[0], v[1], v[2], v[3]);
    else
      *reinterpret_cast<uint2*>(static_cast<bf16*>(data) + at) =
          make_uint2(pack_pair(v[0], v[1]), pack_pair(v[2], v[3]));
  }

 private:
  __device__ void store_at(int64_t index, float value) const {
    if (is_float)
      static_cast<float*>(data)[index] = value;
    else
      static_cast<bf16*>(data)[index] = narrow(value);
  }
};

inline LinearOutput output_of(const LinearArgs& a) {
  return {a.out.data,
          a.bias.empty() ? nullptr : a.bias.as<bf16>(),
          static_cast<int>(a.x.dim(0)),
          static_cast<int>(a.weight.rows),
          a.out.dtype == DType::f32,
          a.epilogue == Epilogue::kSiluAndMul};
}

}  // namespace ll::cuda
