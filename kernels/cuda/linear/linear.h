#pragma once
// What others ask of products besides doing them.
#include <string>
#include <vector>

#include "kernels/ops.h"

namespace ll::cuda {

// LinearTuning::buckets.
std::vector<int64_t> linear_buckets(int64_t most);

// For the benchmark: the name of what `linear` chose for products like this one, "" before the
// first of them has run outside of a graph capture.
std::string linear_choice(Stream stream, const LinearArgs& a);

}  // namespace ll::cuda
