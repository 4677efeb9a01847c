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
// Dynamic shared memory that a block may have, once allow_shared has allowed it.
int most_shared_bytes();
// Whether a kernel may start while the one before it drains. Not where sm80's kernels run on
// Hopper, as they are then to run as on GPUs before it.
bool starts_early();
// The family of kernels that serves it, and whether that is this one (kAny: always).
KernelFamily kernel_family();
bool serves(KernelFamily family);

// DeviceApi::upload.
void upload(Stream stream, void* dst, const void* src, size_t bytes);

// Whether ranks may have the same GPU (LITELANG_SHARE_GPUS=1): for tests, as they take turns of
// milliseconds.
bool may_share_gpus();

// Picks the GPU, gpu_of(local_rank); called once by open(). Who starts ranks sees to it that no two
// have the same. Throws Error where no family of kernels serves the GPU, or not the one that
// LITELANG_CUDA_FAMILY names.
void open_device(int local_rank);
// Makes it the calling thread's.
void enter_device();
// How often the GPUs had been given out before this process got its own.
int gpu_round();

}  // namespace ll::cuda
