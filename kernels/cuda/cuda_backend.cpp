#include "kernels/cuda/cuda_backend.h"

#include <cuda_runtime_api.h>

#include "kernels/cuda/attention/attention_kernels.h"
#include "kernels/cuda/decode_step/fused_decode.h"
#include "kernels/cuda/device/cuda_check.h"
#include "kernels/cuda/device/cuda_device.h"
#include "kernels/cuda/device/cuda_ops.h"
#include "kernels/cuda/linear/linear_choices.h"

namespace ll::cuda {
namespace {

#include "kernels/op_table.inl"

}  // namespace

bool has_device() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess && count > 0;
}

Backend open(int local_rank) {
  open_device(local_rank);
  prepare_attention();
  int gpu = 0;
  check(cudaGetDevice(&gpu));
  cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, gpu));
  return {.kind = BackendKind::kCuda,
          .device_name = properties.name,
          .device = cuda_device(),
          .ops = op_table(),
          .graphs = &cuda_graphs(),
          .fused_decode = &fused_decode_api(),
          .fixed_page_size = kPagePositions,
          .max_sequences = max_attention_sequences(),
          .linear_tuning = &linear_tuning(),
          .defers_norms = true};
}

}  // namespace ll::cuda
