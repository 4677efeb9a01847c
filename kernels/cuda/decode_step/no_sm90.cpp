// A build without Hopper's kernels.
#include "kernels/cuda/decode_step/fused_decode.h"

namespace ll::cuda {

const FusedDecodeApi* fused_decode_api() { return nullptr; }

}  // namespace ll::cuda
