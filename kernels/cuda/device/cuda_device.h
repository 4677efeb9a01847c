#pragma once
// The GPU of this process: memory, streams, events, graphs, and scratch memory the ops share.
#include <cstddef>

#include "kernels/device_api.h"

namespace ll::cuda {

const DeviceApi& cuda_device();
const GraphApi& cuda_graphs();

int num_sms();

// DeviceApi::upload.
void upload(Stream stream, void* dst, const void* src, size_t bytes);

// Scratch memory for one op at a time: work on one stream runs in order, so ops may share it.
// Allocated when the backend opens.
struct Scratch {
  void* data;
  size_t bytes;
};
constexpr size_t kScratchBytes = size_t{160} << 20;
Scratch scratch();

// Scratch that must be zero between ops (tickets and counters): an op leaves it zero.
constexpr size_t kCounterBytes = size_t{1} << 20;
Scratch zeroed_counters();

// Scratch of the matrix library alone, which may need it beside scratch().
constexpr size_t kMatmulWorkspaceBytes = size_t{32} << 20;
Scratch matmul_workspace();

// The attention plan of the step under way: begin_step writes it, the attention of every layer
// reads it.
constexpr size_t kAttentionPlanBytes = size_t{8} << 20;
Scratch attention_plan();

// Picks the GPU and allocates the scratch; called once by open(). Local rank r has GPU r; with
// LITELANG_SHARE_GPUS=1 a host may have more ranks than GPUs, and they go around: for tests, as
// ranks of one GPU take turns of milliseconds.
void open_device(int local_rank);
// How often the GPUs had been given out before this process got its own.
int gpu_round();

}  // namespace ll::cuda
