#include "kernels/cuda/cuda_backend.h"

namespace ll {

bool has_cuda() { return false; }

Backend cuda::open(int) {
  fail_usage(
      "backend: cuda, but this program was built without CUDA; use backend: cpu, or build with "
      "LITELANG_CUDA=ON");
}

}  // namespace ll
