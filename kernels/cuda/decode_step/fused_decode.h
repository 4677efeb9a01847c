#pragma once
#include "kernels/fused_decode.h"

namespace ll::cuda {

// Kernels for the shapes of Qwen2.5 0.5B, 1.5B, 3B and 7B in bfloat16, of any number of layers.
// `create` returns null on a GPU with too few multiprocessors, or too little shared memory.
const FusedDecodeApi& fused_decode_api();

}  // namespace ll::cuda
