#pragma once
// The GPUs that the driver shows this process: all of the host's, or those of CUDA_VISIBLE_DEVICES.
#include <vector>

#include "kernels/cuda/device/gpu_facts.h"

namespace ll::cuda {

// None where there is no driver either.
int num_visible_gpus();

GpuFacts gpu_facts(int gpu);

}  // namespace ll::cuda
