#pragma once
// How close two results must be; the one table of tolerances.
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>

#include "kernels/dtype.h"

namespace ll::test {

struct Tolerance {
  double op;             // relative L2 error of one op against double precision
  double logits;         // relative L2 error of a whole model's logits against the float32 golden
  double hidden;         // the same of a layer's output
  double greedy_margin;  // a token may differ from the golden only where top-1 minus top-2 is below
                         // this
  double perplexity;     // relative to the golden's value of the same dtype
};

inline Tolerance tolerance(DType dtype) {
  if (dtype == DType::f32) return {2e-6, 2e-3, 1e-3, 2e-3, 2e-4};
  return {6e-3, 4e-2, 3e-2, 0.15, 2e-3};
}

// ||a - b|| / ||b||; infinite when a value is missing (NaN) on one side only.
template <class A, class B>
double relative_error(std::span<const A> a, std::span<const B> b) {
  double difference = 0, norm = 0;
  if (a.size() != b.size()) return std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < a.size(); ++i) {
    auto x = static_cast<double>(to_float(a[i])), y = static_cast<double>(to_float(b[i]));
    if (std::isnan(x) || std::isnan(y)) return std::numeric_limits<double>::infinity();
    difference += (x - y) * (x - y);
    norm += y * y;
  }
  return norm > 0 ? std::sqrt(difference / norm) : std::sqrt(difference);
}

}  // namespace ll::test
