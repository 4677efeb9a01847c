#pragma once
// For the benchmark: how a product is done.
#include <string>

#include "kernels/ops.h"

namespace ll::cuda {

// The name of what `linear` chose for products like this one, "" before the first of them has run
// outside of a graph capture.
std::string linear_choice(const LinearArgs& a);

}  // namespace ll::cuda
