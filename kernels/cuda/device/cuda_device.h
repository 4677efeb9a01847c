#pragma once
// The GPU of this process: memory, streams, events, graphs, and what it is.
#include <cstddef>

#include "kernels/cuda/device/kernel_family.h"
#include "kernels/device_api.h"

namespace ll::cuda {

const DeviceApi& cuda_device();
const GraphApi& cuda_graphs();

// What the GPU that open_device has picked is.
int num_sms();
int compute_major();
// Whether kernels of this family run on it.
bool serves(KernelFamily family);

// DeviceApi::upload.
void upload(Stream stream, void* dst, const void* src, size_t bytes);

// Picks the GPU; called once by open(). Local rank r has GPU r; with LITELANG_SHARE_GPUS=1 a host
// may have more ranks than GPUs, and they go around: for tests, as ranks of one GPU take turns of
// milliseconds. Throws Error where no family of kernels serves the GPU.
void open_device(int local_rank);
// How often the GPUs had been given out before this process got its own.
int gpu_round();

}  // namespace ll::cuda
