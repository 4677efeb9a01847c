#pragma once
// What the ops of one stream share: a stream of the CUDA backend is not a cudaStream_t alone, but
// has memory of its own besides. Work on a stream runs in order, so its ops may take the same
// memory in turns; two models on two streams do not meet.
#include <cuda_runtime_api.h>

#include <cstddef>
#include <memory>

#include "kernels/device_api.h"

namespace ll::cuda {

struct Scratch {
  void* data;
  size_t bytes;
};

class LinearChoices;  // of kernels/cuda/linear, which makes it

struct Workspace {
  // For one op at a time; more than the L2 cache holds.
  static constexpr size_t kScratchBytes = size_t{160} << 20;
  Scratch scratch;
  // Must be zero between ops (tickets and counters): an op leaves it zero.
  static constexpr size_t kCounterBytes = size_t{1} << 20;
  Scratch zeroed_counters;
  // For the matrix library alone, which may need it beside `scratch`.
  static constexpr size_t kMatmulBytes = size_t{32} << 20;
  Scratch matmul;
  // The attention plan of the step under way: begin_step writes it, the attention of every layer
  // reads it.
  static constexpr size_t kAttentionPlanBytes = size_t{8} << 20;
  Scratch attention_plan;
  // How the products of the stream are done.
  std::shared_ptr<LinearChoices> linear_choices;

  Workspace();
  ~Workspace();
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
};

// What Stream::handle points to.
struct StreamState {
  cudaStream_t stream = nullptr;
  std::unique_ptr<Workspace> workspace;  // null: a side stream
};

// The default stream where there is no handle.
inline cudaStream_t cuda_stream(Stream stream) {
  return stream.handle ? static_cast<const StreamState*>(stream.handle)->stream : nullptr;
}

// Throws Error on a side stream, which has none.
Workspace& workspace_of(Stream stream);

}  // namespace ll::cuda
