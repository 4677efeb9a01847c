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
