// y = x W^T + bias: which way is the fastest depends on the shape, so each shape's first call times
// all that can do it, on cold caches, and keeps the winner, until somebody chooses for a whole step
// (kernels/linear_tuning.h). Numbers of rows of x share a choice in buckets: up to 64 those that
// the tile kernel does alike; then powers of two and, for some hundreds of rows, the middles
// between.
//
// LITELANG_LINEAR=NAME takes the first way whose name begins so (stream, tile, tile4 and so on,
// gate, block, direct1 and so on, library, plain) and measures nothing; LITELANG_LINEAR=first takes
// the first of all. Either makes a run's arithmetic the same on every start. LITELANG_LINEAR_LOG=1
// prints what was measured.
#include "kernels/cuda/linear/linear.h"

#include <cuda_runtime_api.h>

#include <algorithm>

#include "base/check.h"
#include "base/numbers.h"
#include "kernels/cuda/device/cuda_check.h"
#include "kernels/cuda/device/cuda_device.h"
#include "kernels/cuda/device/cuda_ops.h"
#include "kernels/cuda/device/workspace.h"
#include "kernels/cuda/linear/linear_choices.h"

namespace ll::cuda {
namespace {

// Where a product does not fit the scratch memory, it is done so many rows of x at a time, or a
// multiple.
constexpr int64_t kRowBlock = 128;

bool is_capturing(Stream stream) {
  cudaStreamCaptureStatus status;
  check(cudaStreamIsCapturing(cuda_stream(stream), &status));
  return status != cudaStreamCaptureStatusNone;
}

// Does the product with the first of `ways` that works.
void run_any(Stream stream, const LinearArgs& a, const std::vector<LinearWay>& ways) {
  for (const LinearWay& way : ways)
    if (run_way(stream, a, way)) return;
  run_way(stream, a, {plain_kernel().name, &plain_kernel()});
}

// Rows of x whose product fits the scratch memory that SiLU-and-mul may take it from, in equal
// shares.
int64_t rows_at_once(const LinearArgs& a) {
  if (!a.ending.is_silu()) return a.x.dim(0);
  int64_t fitting = static_cast<int64_t>(Workspace::kScratchBytes) / (a.weight.rows * 2),
          blocks = ceil_div(a.x.dim(0), kRowBlock),
          rounds = ceil_div(blocks, std::max(fitting / kRowBlock, int64_t{1}));
  return std::min(a.x.dim(0), ceil_div(blocks, rounds) * kRowBlock);
}

// The product of rows [begin, begin + count) of x.
LinearArgs rows_of(const LinearArgs& a, int64_t begin, int64_t count) {
  LinearArgs part = a;
  part.x = a.x.rows(begin, count);
  part.out = a.out.rows(begin, count);
  return part;  // norms and scales are of few rows, that are done at once
}

// The first product of its shape chooses, unless a capture forbids to measure.
void multiply(Stream stream, const LinearArgs& a) {
  LinearKey key = linear_key(a);
  LinearChoices& choices = linear_choices(stream);
  LinearChoice* choice = choices.find(key);
  if (!choice) {
    if (is_capturing(stream)) return run_any(stream, a, linear_ways(a));
    choice = &choices.keep(key, choose_way(stream, a));
  }
  choices.note(key, a);
  if (!does(choice->way(), a) || !run_way(stream, a, choice->way()))
    run_any(stream, a, linear_ways(a));
}

}  // namespace

size_t packed_bytes(int64_t rows, int64_t cols, DType dtype) {
  return static_cast<size_t>(rows * cols) * size_of(dtype);
}

// The natural layout, rows of W one after the other, is what every way reads.
Weight pack_weight(Stream, const Tensor& natural, Tensor& storage) {
  storage = natural;
  return {storage.view(), storage.view().dim(0), storage.view().dim(1)};
}

Tensor unpack_weight(Stream, const Weight&, const Tensor& storage) { return storage; }

void linear(Stream stream, const LinearArgs& a) {
  bool is_silu = a.ending.is_silu();
  const AddRmsNormArgs* norm = a.ending.norm();
  ensure(a.x.dim(1) == a.weight.cols && a.out.dim(0) == a.x.dim(0), "linear: shapes differ");
  ensure(a.out.dim(1) == (is_silu ? a.weight.rows / 2 : a.weight.rows), "linear: output width");
  ensure(!is_silu || a.weight.rows % 2 == 0, "linear: pairs of rows");
  ensure(a.x.dtype == DType::bf16 && a.weight.data.dtype == DType::bf16, "linear: bfloat16 only");
  ensure(a.out.dtype == DType::bf16 || a.out.dtype == DType::f32, "linear: output's dtype");
  ensure(!a.ending.rope() || a.out.dtype == DType::bf16, "linear: RoPE of bfloat16 only");
  ensure((!norm && !a.x_squares) || a.x.dim(0) <= kMostDeferredRows, "linear: norms of few rows");
  ensure(!norm || norm->row_squares, "linear: norm's squares");
  if (a.out.empty()) return;
  int64_t num_x = a.x.dim(0), most = rows_at_once(a);
  for (int64_t row = 0; row < num_x; row += most)
    multiply(stream, rows_of(a, row, std::min(most, num_x - row)));
}

std::vector<int64_t> linear_buckets(int64_t most) {
  std::vector<int64_t> buckets;
  for (int64_t rows = 1; rows <= most; rows = buckets.back() + 1)
    buckets.push_back(std::min(linear_bucket(rows), most));
  return buckets;
}

std::string linear_choice(Stream stream, const LinearArgs& a) {
  LinearChoice* choice = linear_choices(stream).find(linear_key(rows_of(a, 0, rows_at_once(a))));
  return choice ? choice->way().name : "";
}

}  // namespace ll::cuda
