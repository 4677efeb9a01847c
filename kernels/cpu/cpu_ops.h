#pragma once
// The CPU backend: plain loops over the ops, sums in float32, hot inner loops through simd.h.
// Float32 results do not depend on the batch a row is in, on chunking or on the page size: each
// output is summed in one fixed order.
#include "kernels/ops.h"

namespace ll::cpu {

const DeviceApi& cpu_device();
MemoryInfo memory_info();

#include "kernels/op_declarations.inl"

}  // namespace ll::cpu
