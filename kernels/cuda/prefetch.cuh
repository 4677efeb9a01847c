#pragma once
// Bringing weights into the L2 cache while a small kernel waits for its predecessor: between two products the memory would idle
// for microseconds. A kernel gets kPrefetchBlocks blocks on top of its own, which only touch lines and leave.
#include "kernels/ops.h"

namespace ll::cuda {

constexpr unsigned kPrefetchBlocks = 128;
constexpr size_t kLineBytes = 128;

inline unsigned prefetch_blocks(size_t bytes) { return bytes > 0 ? kPrefetchBlocks : 0; }

// By block `block` of kPrefetchBlocks, all its threads.
__device__ inline void prefetch_lines(const Prefetch& p, unsigned block) {
  const auto* data = static_cast<const char*>(p.data);
  size_t step = size_t{kPrefetchBlocks} * blockDim.x;
  for (size_t line = size_t{block} * blockDim.x + threadIdx.x; line * kLineBytes < p.bytes; line += step)
    asm volatile("prefetch.global.L2 [%0];" ::"l"(data + line * kLineBytes));
}

}  // namespace ll::cuda
