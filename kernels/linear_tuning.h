#pragma once
// The ways to do a product, for a backend that has several: which is the fastest it measures itself
// when it first does a product alone. But kernels end while the next ones start, so that the
// fastest alone need not be the fastest in a step; who runs steps can try the others. What is
// measured and chosen belongs to the stream.
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/device_api.h"

namespace ll {

struct LinearTuning {
  // Numbers of rows of x, up to `most`, for which `linear` measures how to do a product when it
  // first does it, which takes a while; a product of other rows is done as that of the next of
  // these.
  std::vector<int64_t> (&buckets)(int64_t most);
  // From here on notes which products are done, and forgets those of before.
  void (&watch)(Stream);
  // Ends it. Of each shape done more than once, in the order of the first times, the names of the
  // ways to do it; the fastest alone is number 0. Without those that were watched before, and those
  // whose way the environment asks for.
  std::vector<std::vector<std::string>> (&ways)(Stream);
  // is_early: the next kernel may start at once, where the way's own kernel can let it.
  void (&choose)(Stream, int shape, int way, bool is_early);
  // The shape and its way, for a log.
  std::string (&describe)(Stream, int shape);
};

}  // namespace ll
