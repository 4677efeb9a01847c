#pragma once
// Our own kernels for y = x W^T with few rows of x, where the time is that of reading W.
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/numbers.h"
#include "kernels/ops.h"

namespace ll::cuda {

struct LinearKernel {
  std::string name;
  std::function<bool(const LinearArgs&)> takes;
  std::function<void(Stream, const LinearArgs&)> run;  // only what it takes
  bool does_norms = false;                             // x_squares, and a norm as its ending
  // The same, but lets the next kernel start as soon as all its blocks have, which makes no
  // difference to one that runs alone; or null.
  const LinearKernel* early = nullptr;
};

// Streams whole rows of W through shared memory; at most 4 rows of x.
std::span<const LinearKernel> stream_kernels();
// Columns of the matrix unit that do so many rows of x.
constexpr int64_t kMostTileColumns = 64;
constexpr int64_t tile_columns(int64_t num_x) {
  int64_t eights = ceil_div(num_x, 8);
  return 8 * (eights > 5 ? round_up(eights, 2) : eights);
}
// Tensor cores on tiles of W, K split over blocks; at most 64 rows of x.
std::span<const LinearKernel> tile_kernels();
// The same kernel with other numbers of blocks a multiprocessor and other rings, which differ in
// what of them overlaps with the kernels around them: those that take `a`, all different; none
// where they do not serve the GPU.
std::vector<const LinearKernel*> other_tile_kernels(const LinearArgs& a);
// Tensor cores with the rows of x on their lines, K split over blocks; 33 to 256 rows of x.
std::span<const LinearKernel> block_kernels();
// Products that end with SiLU-and-mul, without parts of K; more than 32 rows of x.
std::span<const LinearKernel> gate_kernels();
// Ampere's: rows of W straight to registers; at most 4 rows of x.
std::span<const LinearKernel> direct_kernels();
// Any shape and alignment, slowly.
const LinearKernel& plain_kernel();

// Those of the above, and of other families, that serve the GPU, likely winners first; without the
// plain one.
std::vector<std::span<const LinearKernel>> served_kernels();

// Reads all of the scratch memory, which is more than the L2 cache holds.
void evict_cache(Stream stream);

}  // namespace ll::cuda
