#include "kernels/cuda/device/cuda_check.h"

#include "base/check.h"

namespace ll::cuda {

void throw_cuda(cudaError_t error, std::source_location where) {
  fail("CUDA: {} ({}:{} in {})", cudaGetErrorString(error), where.file_name(), where.line(),
       where.function_name());
}

void throw_cuda(const char* what, std::source_location where) { throw_broken(what, where); }

}  // namespace ll::cuda
