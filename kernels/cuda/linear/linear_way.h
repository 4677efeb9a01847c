#pragma once
// One way to do a product: a kernel of ours, or an algorithm of the library.
#include <string>
#include <vector>

#include "kernels/cuda/linear/linear_kernels.h"
#include "kernels/cuda/linear/linear_library.h"

namespace ll::cuda {

struct LinearWay {
  std::string name;
  const LinearKernel* kernel = nullptr;
  LibraryAlgorithm algorithm{};
  bool is_early = false;  // see LinearKernel::early
};

// All that can do this product, likely winners first; never empty.
std::vector<LinearWay> linear_ways(const LinearArgs& a);

// Whether a way found for another number of rows does this product, too.
bool does(const LinearWay& way, const LinearArgs& a);

// False when the library refuses.
bool run_way(Stream stream, const LinearArgs& a, const LinearWay& way);

// The same with its norm's results, which a norm otherwise adds to, put where nothing is lost.
// `norm` holds them; the memory is the stream's.
LinearArgs without_effects(Stream stream, LinearArgs a, AddRmsNormArgs& norm);

}  // namespace ll::cuda
