// Arrays of a step on their way to the device: little goes there sooner by a kernel that reads the
// host's memory than by the copy engine, before and after which the stream waits.
#include "base/numbers.h"
#include "kernels/cuda/device/cuda_device.h"
#include "kernels/cuda/device/launch.cuh"

namespace ll::cuda {
namespace {

constexpr int kThreads = 256;
constexpr size_t kMostBytes = 64 << 10;

__global__ void __launch_bounds__(kThreads) read_host(uint4* to, const uint4* from, int count) {
  int i = blockIdx.x * kThreads + threadIdx.x;
  uint4 vector = make_uint4(0, 0, 0, 0);
  if (i < count) vector = __ldcv(from + i);  // not what an earlier step left in a cache
  wait_for_previous();
  if (i < count) to[i] = vector;
}

}  // namespace

void upload(Stream stream, void* dst, const void* src, size_t bytes) {
  require(bytes % sizeof(uint4) == 0, "upload: a multiple of 16 bytes");
  if (bytes > kMostBytes) {
    auto s = cuda_stream(stream);
    return check(cudaMemcpyAsync(dst, src, bytes, cudaMemcpyHostToDevice, s));
  }
  auto count = static_cast<int>(bytes / sizeof(uint4));
  if (count == 0) return;
  launch(stream, {dim3(static_cast<unsigned>(ceil_div(count, kThreads))), dim3(kThreads)},
         read_host, static_cast<uint4*>(dst), static_cast<const uint4*>(src), count);
}

}  // namespace ll::cuda
