#include "kernels/cuda/device/workspace.h"

#include "kernels/cuda/device/cuda_check.h"
#include "kernels/cuda/device/cuda_device.h"

namespace ll::cuda {
namespace {

Scratch allocate(size_t bytes) { return {cuda_device().alloc(bytes), bytes}; }

}  // namespace

Workspace::Workspace()
    : scratch(allocate(kScratchBytes)),
      zeroed_counters(allocate(kCounterBytes)),
      matmul(allocate(kMatmulBytes)),
      attention_plan(allocate(kAttentionPlanBytes)) {
  check(cudaMemset(zeroed_counters.data, 0, kCounterBytes));
  check(cudaDeviceSynchronize());  // our streams do not wait for the default one
}

Workspace::~Workspace() {
  for (const Scratch& s : {scratch, zeroed_counters, matmul, attention_plan})
    cuda_device().free(s.data);
}

Workspace& workspace_of(Stream stream) {
  auto* state = static_cast<StreamState*>(stream.handle);
  require(state && state->workspace, "an op that needs scratch memory, on a stream without");
  return *state->workspace;
}

}  // namespace ll::cuda
