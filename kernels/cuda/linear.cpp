// y = x W^T + bias: which way is the fastest depends on the shape, so each shape's first call times
// all that can do it, on cold caches, and keeps the winner. Numbers of rows of x share a choice in
// buckets: powers of two and, for some hundreds of rows, the middles between.
//
// LITELANG_LINEAR=NAME takes the first way whose name begins so (stream, tile, tile4 and so on,
// gate, block, library, plain) and measures nothing; LITELANG_LINEAR=first takes the first of all.
// Either makes a run's arithmetic the same on every start. LITELANG_LINEAR_LOG=1 prints what was
// measured.
#include "kernels/cuda/linear.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <bit>
#include <compare>
#include <cstdlib>
#include <limits>
#include <map>
#include <string_view>
#include <vector>

#include "kernels/check.h"
#include "kernels/cuda/cuda_check.h"
#include "kernels/cuda/cuda_device.h"
#include "kernels/cuda/cuda_ops.h"
#include "kernels/cuda/linear_kernels.h"
#include "kernels/cuda/linear_library.h"

namespace ll::cuda {
namespace {

constexpr int kLibraryCandidates = 8;
constexpr int kTimings = 5;
constexpr float kLongUs = 500;     // longer than this is timed once
constexpr float kHopeless = 1.3f;  // and so is what takes so many times the best so far
constexpr int64_t kMostWithMiddle = 1024;
// The library's kernels neither load weights before their predecessor ends nor let their successor:
// in a step of few rows that costs about so much more than alone.
constexpr float kLibraryGapUs = 5;
// Our own kernels stand in the order in which they do better in a step than alone: a later one has
// to be faster by so much, and the library by a share.
constexpr float kFasterOwnUs = 0.8f, kFasterLibrary = 0.97f;
// Where a product does not fit the scratch memory, it is done so many rows of x at a time, or a
// multiple.
constexpr int64_t kRowBlock = 128;

// One way to do a product: a kernel of ours, or an algorithm of the library.
struct Way {
  std::string name;
  const LinearKernel* kernel = nullptr;
  LibraryAlgorithm algorithm{};
};

struct ShapeKey {
  int64_t bucket, rows, cols;
  bool is_float, has_bias, is_silu, has_rope, has_norm, lacks_scale;
  auto operator<=>(const ShapeKey&) const = default;
};

std::map<ShapeKey, Way>& choices() {
  static std::map<ShapeKey, Way> map;
  return map;
}

int64_t bucket_of(int64_t num_x) {
  auto power = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(num_x)));
  bool has_middle = power >= 4 && power <= kMostWithMiddle;
  return has_middle && num_x <= power / 4 * 3 ? power / 4 * 3 : power;
}

ShapeKey key_of(const LinearArgs& a) {
  return {bucket_of(a.x.dim(0)),     a.weight.rows,     a.weight.cols,
          a.out.dtype == DType::f32, !a.bias.empty(),   a.epilogue == Epilogue::kSiluAndMul,
          a.rope != nullptr,         a.norm != nullptr, a.x_squares != nullptr};
}

std::string_view setting(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

// All that can do this product, likely winners first; never empty.
std::vector<Way> ways_of(const LinearArgs& a) {
  std::vector<Way> ways;
  auto add = [&](const LinearKernel& k) {
    if (k.takes(a)) ways.push_back({k.name, &k, {}});
  };
  for (const LinearKernel& k : stream_kernels()) add(k);
  for (const LinearKernel& k : tile_kernels()) add(k);
  for (const LinearKernel& k : gate_kernels()) add(k);
  for (const LinearKernel& k : block_kernels()) add(k);
  if (library_takes(a)) {
    int number = 0;
    for (const LibraryAlgorithm& algorithm : library_algorithms(a, kLibraryCandidates))
      ways.push_back({fmt::format("library{}", number++), nullptr, algorithm});
  }
  if (ways.empty() || setting("LITELANG_LINEAR") == plain_kernel().name) add(plain_kernel());
  return ways;
}

// The half of the scratch memory that SiLU-and-mul does not take.
void* spare_memory() { return static_cast<char*>(scratch().data) + scratch().bytes / 2; }

// False when the library refuses. Our own kernels end with RoPE themselves.
bool run_bare(Stream stream, const LinearArgs& a, const Way& way) {
  if (way.kernel) {
    way.kernel->run(stream, a);
    return true;
  }
  if (!run_library(stream, a, way.algorithm)) return false;
  if (a.rope) rope_and_store_kv(stream, *a.rope);
  return true;
}

// Scales before and norms afterwards where the way does not do them.
bool run(Stream stream, const LinearArgs& a, const Way& way) {
  bool does_norms = way.kernel && way.kernel->does_norms;
  if (does_norms || (!a.x_squares && !a.norm)) return run_bare(stream, a, way);
  LinearArgs bare = a;
  bare.x_squares = nullptr, bare.norm = nullptr;
  if (a.x_squares) {
    bare.x.data = spare_memory();
    scale_rows(stream, bare.x, a.x, *a.x_squares);
  }
  if (!run_bare(stream, bare, way)) return false;
  if (!a.norm) return true;
  AddRmsNormArgs norm = *a.norm;
  norm.delta = a.out;
  add_rms_norm(stream, norm);
  return true;
}

// Two events for as long as a shape is being timed.
class Stopwatch {
 public:
  Stopwatch() {
    check(cudaEventCreate(&begin_));
    check(cudaEventCreate(&end_));
  }
  ~Stopwatch() {
    cudaEventDestroy(begin_);
    cudaEventDestroy(end_);
  }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

  // One run with cold caches; infinite when it was refused.
  float microseconds(Stream stream, const LinearArgs& a, const Way& way) {
    auto s = static_cast<cudaStream_t>(stream.handle);
    evict_cache(stream);
    check(cudaEventRecord(begin_, s));
    bool done = run(stream, a, way);
    check(cudaEventRecord(end_, s));
    check(cudaEventSynchronize(end_));
    float ms = 0;
    check(cudaEventElapsedTime(&ms, begin_, end_));
    return done ? ms * 1000 : std::numeric_limits<float>::infinity();
  }

 private:
  cudaEvent_t begin_ = nullptr, end_ = nullptr;
};

// The best of a few runs, after one that loads code.
float time_way(Stopwatch& watch, Stream stream, const LinearArgs& a, const Way& way,
               float best_so_far) {
  watch.microseconds(stream, a, way);
  float best = std::numeric_limits<float>::infinity();
  for (int i = 0; i < kTimings; ++i) {
    best = std::min(best, watch.microseconds(stream, a, way));
    if (best > kLongUs || best > kHopeless * best_so_far) break;
  }
  return best + (way.kernel ? 0 : kLibraryGapUs);
}

const Way& fastest(Stream stream, LinearArgs a, const std::vector<Way>& ways) {
  Stopwatch watch;
  // What a norm updates is not touched by being timed.
  AddRmsNormArgs norm;
  if (a.norm) {
    norm = *a.norm;
    char* spare = static_cast<char*>(spare_memory()) + scratch().bytes / 4;
    norm.residual.data = spare;
    norm.row_squares = reinterpret_cast<uint64_t*>(spare + scratch().bytes / 8);
    a.norm = &norm;
  }
  const Way* best = &ways.front();
  float best_us = std::numeric_limits<float>::infinity();
  std::string log;
  for (const Way& way : ways) {
    float us = time_way(watch, stream, a, way, best_us);
    log += fmt::format(" {} {:.1f}", way.name, us);
    if (us < (way.kernel ? best_us - kFasterOwnUs : kFasterLibrary * best_us))
      best = &way, best_us = us;
  }
  if (!setting("LITELANG_LINEAR_LOG").empty())
    fmt::print(stderr, "linear {} x [{}, {}]{}{}: {}; us:{}\n", a.x.dim(0), a.weight.rows,
               a.weight.cols, a.x_squares ? " scale" : "",
               a.rope                                ? " rope"
               : a.norm                              ? " norm"
               : a.epilogue == Epilogue::kSiluAndMul ? " silu"
                                                     : "",
               best->name, log);
  return *best;
}

// The way the environment asks for, if any.
const Way* asked_for(const std::vector<Way>& ways) {
  static const std::string_view name = setting("LITELANG_LINEAR");
  if (name.empty()) return nullptr;
  for (const Way& way : ways)
    if (way.name.starts_with(name)) return &way;
  return &ways.front();
}

bool is_capturing(Stream stream) {
  cudaStreamCaptureStatus status;
  check(cudaStreamIsCapturing(static_cast<cudaStream_t>(stream.handle), &status));
  return status != cudaStreamCaptureStatusNone;
}

// Does the product with the first of `ways` that works.
void run_any(Stream stream, const LinearArgs& a, const std::vector<Way>& ways) {
  for (const Way& way : ways)
    if (run(stream, a, way)) return;
  run(stream, a, {plain_kernel().name, &plain_kernel(), {}});
}

// The first product of its shape: chooses, unless a capture forbids to measure, and does it.
void run_first(Stream stream, const LinearArgs& a, const ShapeKey& key) {
  std::vector<Way> ways = ways_of(a);
  const Way* way = asked_for(ways);
  if (!way && is_capturing(stream)) return run_any(stream, a, ways);
  if (!way) way = ways.size() == 1 ? &ways.front() : &fastest(stream, a, ways);
  choices().insert_or_assign(key, *way);
  if (!run(stream, a, *way)) run_any(stream, a, ways);
}

// Rows of x whose product fits the scratch memory that SiLU-and-mul may take it from, in equal
// shares.
int64_t rows_at_once(const LinearArgs& a) {
  if (a.epilogue == Epilogue::kNone) return a.x.dim(0);
  auto parts_of = [](int64_t n, int64_t size) { return (n + size - 1) / size; };
  int64_t fitting = static_cast<int64_t>(scratch().bytes) / (a.weight.rows * 2),
          blocks = parts_of(a.x.dim(0), kRowBlock),
          rounds = parts_of(blocks, std::max(fitting / kRowBlock, int64_t{1}));
  return std::min(a.x.dim(0), parts_of(blocks, rounds) * kRowBlock);
}

// The product of rows [begin, begin + count) of x.
LinearArgs rows_of(const LinearArgs& a, int64_t begin, int64_t count) {
  LinearArgs part = a;
  part.x = a.x.rows(begin, count);
  part.out = a.out.rows(begin, count);
  return part;  // norms and scales are of few rows, that are done at once
}

void multiply(Stream stream, const LinearArgs& a) {
  ShapeKey key = key_of(a);
  auto chosen = choices().find(key);
  if (chosen == choices().end()) return run_first(stream, a, key);
  const Way& way = chosen->second;
  bool fits =
      way.kernel ? way.kernel->takes(a) : library_takes(a) && library_accepts(a, way.algorithm);
  if (!fits || !run(stream, a, way)) run_any(stream, a, ways_of(a));
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
  bool is_silu = a.epilogue == Epilogue::kSiluAndMul;
  ensure(a.x.dim(1) == a.weight.cols && a.out.dim(0) == a.x.dim(0), "linear: shapes differ");
  ensure(a.out.dim(1) == (is_silu ? a.weight.rows / 2 : a.weight.rows), "linear: output width");
  ensure(!is_silu || a.weight.rows % 2 == 0, "linear: pairs of rows");
  ensure(a.x.dtype == DType::bf16 && a.weight.data.dtype == DType::bf16, "linear: bfloat16 only");
  ensure(a.out.dtype == DType::bf16 || a.out.dtype == DType::f32, "linear: output's dtype");
  ensure(!a.rope || (!is_silu && a.out.dtype == DType::bf16), "linear: RoPE of bfloat16 only");
  ensure((!a.norm && !a.x_squares) || a.x.dim(0) <= kMostDeferredRows, "linear: norms of few rows");
  ensure(!a.norm || (a.norm->row_squares && !a.rope && !is_silu), "linear: norm's squares");
  if (a.out.empty()) return;
  int64_t num_x = a.x.dim(0), most = rows_at_once(a);
  for (int64_t row = 0; row < num_x; row += most)
    multiply(stream, rows_of(a, row, std::min(most, num_x - row)));
}

std::vector<int64_t> linear_buckets(int64_t most) {
  std::vector<int64_t> buckets;
  for (int64_t rows = 1; rows <= most; rows = buckets.back() + 1)
    buckets.push_back(std::min(bucket_of(rows), most));
  return buckets;
}

std::string linear_choice(const LinearArgs& a) {
  auto chosen = choices().find(key_of(rows_of(a, 0, rows_at_once(a))));
  return chosen == choices().end() ? "" : chosen->second.name;
}

}  // namespace ll::cuda
