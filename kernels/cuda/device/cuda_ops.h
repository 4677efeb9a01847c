#pragma once
// The CUDA backend's ops: see kernels/ops.h and kernels/sampling_ops.h for what each computes.
#include "kernels/ops.h"

namespace ll::cuda {

#include "kernels/op_declarations.inl"

// out = x with the scales its rows lack, both [T, cols].
void scale_rows(Stream, TensorView out, TensorView x, const RowSquares&);

}  // namespace ll::cuda
