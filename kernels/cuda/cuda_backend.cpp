#include "kernels/cuda/cuda_backend.h"

#include <cuda_runtime_api.h>

#include "kernels/cuda/attention/attention_kernels.h"
#include "kernels/cuda/decode_step/fused_decode.h"
#include "kernels/cuda/device/cuda_check.h"
#include "kernels/cuda/device/cuda_device.h"
#include "kernels/cuda/device/cuda_ops.h"
#include "kernels/cuda/device/visible_gpus.h"
#include "kernels/cuda/linear/linear_choices.h"

namespace ll::cuda {
namespace {

#include "kernels/op_table.inl"

}  // namespace

bool has_device() { return num_visible_gpus() > 0; }

std::vector<std::string> describe_devices() {
  std::vector<std::string> lines;
  for (int gpu = 0; gpu < num_visible_gpus(); ++gpu) lines.push_back(describe(gpu_facts(gpu)));
  return lines;
}

Backend open(int local_rank) {
  open_device(local_rank);
  prepare_attention();
  int gpu = 0;
  check(cudaGetDevice(&gpu));
  GpuFacts facts = gpu_facts(gpu);
  return {.kind = BackendKind::kCuda,
          .device_name = title(facts),
          .device_id = may_share_gpus() ? "" : facts.uuid,
          .kernel_family = name_of(kernel_family()),
          .is_slice = *slice_of(facts.name) != 0,
          .device = cuda_device(),
          .ops = op_table(),
          .graphs = &cuda_graphs(),
          .fused_decode = &fused_decode_api(),
          .measures_fused_decode = !serves(KernelFamily::kSm90),
          .fixed_page_size = kPagePositions,
          .max_sequences = max_attention_sequences(),
          .linear_tuning = &linear_tuning(),
          .defers_norms = serves(KernelFamily::kSm90),
          .groups_prefixes = attention_groups_prefixes()};
}

}  // namespace ll::cuda
