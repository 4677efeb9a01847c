#pragma once
// The second half of a SwiGLU product too large for a kernel that ends with it.
#include "kernels/ops.h"

namespace ll::cuda {

// out[i] = silu(pairs[2 i]) * pairs[2 i + 1]; out [T, F], pairs [T, 2 F], both bfloat16.
void silu_and_mul(Stream stream, TensorView out, TensorView pairs);

}  // namespace ll::cuda
