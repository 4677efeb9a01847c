#pragma once
// Our own kernels for y = x W^T with few rows of x, where the time is that of reading W.
#include <span>

#include "kernels/ops.h"

namespace ll::cuda {

struct LinearKernel {
  const char* name;
  bool (*takes)(const LinearArgs&);
  void (*run)(Stream, const LinearArgs&);  // only what it takes
  bool does_norms = false;                 // LinearArgs' x_squares and norm
};

// Streams whole rows of W through shared memory; at most 4 rows of x.
std::span<const LinearKernel> stream_kernels();
// Tensor cores on tiles of W, K split over blocks; at most 64 rows of x.
std::span<const LinearKernel> tile_kernels();
// Tensor cores with the rows of x on their lines, K split over blocks; 33 to 256 rows of x.
std::span<const LinearKernel> block_kernels();
// Of SiLU-and-mul, without parts of K; more than 32 rows of x.
std::span<const LinearKernel> gate_kernels();
// Any shape and alignment, slowly.
const LinearKernel& plain_kernel();

// Reads all of the scratch memory, which is more than the L2 cache holds.
void evict_cache(Stream stream);

}  // namespace ll::cuda
