#pragma once
// bfloat16 matrix products through oneDNN, over the panels of panels.h as they lie.
#include <cstdint>

#include "base/version_row.h"
#include "kernels/ops.h"

namespace ll::cpu {

// out [M, N] (bfloat16 or float32) = x [M, K] W^T + bias [N, bfloat16, or null]. False, with
// nothing done, when oneDNN is not in the build or has no fast path for this machine and shape.
bool onednn_matmul(TensorView out, TensorView x, const Weight& weight, const TensorView& bias);

VersionRow onednn_version();

}  // namespace ll::cpu
