#pragma once
// Which products are done in the same way, and the ways of each: see linear.cpp.
#include <compare>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/cuda/linear/linear_way.h"

namespace ll::cuda {

// Products with equal keys are done in the same way. Numbers of rows of x share a choice in
// buckets.
struct LinearKey {
  int64_t bucket, rows, cols;
  bool is_float, has_bias;
  Ending::Kind ending;
  bool lacks_scale;
  auto operator<=>(const LinearKey&) const = default;
  std::string str() const;  // "48 x [4608, 3584] scale rope"
};
LinearKey linear_key(const LinearArgs& a);

// The largest number of rows of x in num_x's bucket.
int64_t linear_bucket(int64_t num_x);

struct LinearChoice {
  // Those not much slower alone than the best, which is the first.
  std::vector<LinearWay> ways;
  size_t chosen = 0;
  // By the environment, or in a step (kernels/linear_tuning.h), where there are more ways than
  // those.
  bool is_final = false;

  const LinearWay& way() const { return ways[chosen]; }
};

// Times all ways of a product, or takes the one that the environment asks for. Not while capturing.
LinearChoice choose_way(Stream stream, const LinearArgs& a);

// An environment variable, "" where it is not set.
std::string_view linear_setting(const char* name);

}  // namespace ll::cuda
