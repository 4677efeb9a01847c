#include "kernels/backend.h"

#include "kernels/cpu/cpu_backend.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/device_thread.h"

namespace ll {

Backend open_backend(BackendKind kind, int local_rank, int num_threads) {
  return kind == BackendKind::kCpu ? cpu::open(num_threads) : cuda::open(local_rank);
}

void enter_device(BackendKind kind) {
  if (kind == BackendKind::kCuda) cuda::enter_device();
}

bool has_cuda() { return cuda::has_device(); }

std::vector<std::string> describe_gpus() { return cuda::describe_devices(); }

}  // namespace ll
