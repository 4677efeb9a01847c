#pragma once
// CUDA errors become ll::Error. Free of fmt, so that .cu files may include it.
#include <cuda_runtime_api.h>

#include <source_location>

namespace ll::cuda {

[[noreturn]] void throw_cuda(cudaError_t error, std::source_location where);
[[noreturn]] void throw_cuda(const char* what, std::source_location where);

inline void check(cudaError_t error, std::source_location where = std::source_location::current()) {
  if (error != cudaSuccess) [[unlikely]]
    throw_cuda(error, where);
}

// A caller's mistake found before a launch.
inline void require(bool ok, const char* what,
                    std::source_location where = std::source_location::current()) {
  if (!ok) [[unlikely]]
    throw_cuda(what, where);
}

}  // namespace ll::cuda
