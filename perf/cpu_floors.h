#pragma once
// What this machine can do at best, measured: a speed is printed beside its floor.
#include "kernels/tensor.h"

namespace ll::perf {

// Reads memory that no cache holds, with all OpenMP threads. What else runs on the host of a
// virtual machine changes its rate within seconds, so that passes belong between the steps they are
// compared with.
class MemoryReader {
 public:
  MemoryReader();
  double pass();  // GB/s

 private:
  static constexpr int64_t kWords = int64_t{1} << 27;  // 1 GiB
  Tensor words_;
};

// GFLOP/s of large bfloat16 matrix products: the best of the CPU backend and of oneDNN.
double matrix_rate();

}  // namespace ll::perf
