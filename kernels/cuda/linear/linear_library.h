#pragma once
// Products by cuBLASLt.
#include <cublasLt.h>

#include <vector>

#include "kernels/ops.h"

namespace ll::cuda {

using LibraryAlgorithm = cublasLtMatmulAlgo_t;

// bfloat16 x and W. After SiLU-and-mul the product goes through scratch memory, which must hold it,
// and out is bfloat16; a bias has out's dtype.
bool library_takes(const LinearArgs& a);

// What the library proposes for this product, its favourite first; empty when it knows nothing.
std::vector<LibraryAlgorithm> library_algorithms(const LinearArgs& a, int most);

// Whether an algorithm found for another number of rows does this product, too.
bool library_accepts(const LinearArgs& a, const LibraryAlgorithm& algorithm);

// False when the library refuses.
bool run_library(Stream stream, const LinearArgs& a, const LibraryAlgorithm& algorithm);

}  // namespace ll::cuda
