#include "kernels/cuda/linear/linear_choice.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <limits>

#include "kernels/cuda/device/cuda_check.h"
#include "kernels/cuda/device/cuda_device.h"
#include "kernels/cuda/device/workspace.h"
#include "kernels/few_rows.h"

namespace ll::cuda {
namespace {

constexpr int kTimings = 5;
constexpr float kLongUs = 500;     // longer than this is timed once
constexpr float kHopeless = 1.3f;  // and so is what takes so many times the best so far
constexpr int64_t kMostWithMiddle = 1024;
// The library's kernels neither load weights before their predecessor ends nor let their successor:
// in a step of few rows that costs about so much more than alone, where ours do.
constexpr float kLibraryGapUs = 5;
// Our own kernels stand in the order in which they do better in a step than alone: a later one has
// to be faster by so much, and the library by a share. Where kernels do not overlap, by what may be
// chance.
constexpr float kFasterOwnUs = 0.8f, kFasterAloneUs = 0.2f, kFasterLibrary = 0.97f;

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
  float microseconds(Stream stream, const LinearArgs& a, const LinearWay& way) {
    auto s = cuda_stream(stream);
    evict_cache(stream);
    check(cudaEventRecord(begin_, s));
    bool done = run_way(stream, a, way);
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
float time_way(Stopwatch& watch, Stream stream, const LinearArgs& a, const LinearWay& way,
               float best_so_far) {
  watch.microseconds(stream, a, way);
  float best = std::numeric_limits<float>::infinity();
  for (int i = 0; i < kTimings; ++i) {
    best = std::min(best, watch.microseconds(stream, a, way));
    if (best > kLongUs || best > kHopeless * best_so_far) break;
  }
  return best + (way.kernel || !starts_early() ? 0 : kLibraryGapUs);
}

struct TimedWay {
  LinearWay way;
  float us;
};

// The fastest first: one that is to win has to be faster than an earlier one by some. Without those
// that are much slower.
std::vector<LinearWay> ranked(std::vector<TimedWay> timed) {
  size_t best = 0;
  float margin = starts_early() ? kFasterOwnUs : kFasterAloneUs;
  for (size_t i = 1; i < timed.size(); ++i)
    if (timed[i].us <
        (timed[i].way.kernel ? timed[best].us - margin : kFasterLibrary * timed[best].us))
      best = i;
  std::rotate(timed.begin(), timed.begin() + static_cast<int64_t>(best),
              timed.begin() + static_cast<int64_t>(best) + 1);
  std::vector<LinearWay> ways;
  for (TimedWay& t : timed)
    if (t.us <= kHopeless * timed.front().us) ways.push_back(std::move(t.way));
  return ways;
}

// The way the environment asks for, if any.
const LinearWay* asked_for(const std::vector<LinearWay>& ways) {
  static const std::string_view name = linear_setting("LITELANG_LINEAR");
  if (name.empty()) return nullptr;
  for (const LinearWay& way : ways)
    if (way.name.starts_with(name)) return &way;
  return &ways.front();
}

}  // namespace

int64_t linear_bucket(int64_t num_x) {
  if (num_x <= kStreamedRows) return num_x;
  if (num_x <= kMostTileColumns) return tile_columns(num_x);
  auto power = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(num_x)));
  return power <= kMostWithMiddle && num_x <= power / 4 * 3 ? power / 4 * 3 : power;
}

LinearKey linear_key(const LinearArgs& a) {
  return {linear_bucket(a.x.dim(0)), a.weight.rows,   a.weight.cols,
          a.out.dtype == DType::f32, !a.bias.empty(), a.ending.kind(),
          a.x_squares != nullptr};
}

std::string LinearKey::str() const {
  constexpr const char* kNames[] = {"", " silu", " rope", " norm"};  // of Ending::Kind
  return fmt::format("{} x [{}, {}]{}{}", bucket, rows, cols, lacks_scale ? " scale" : "",
                     kNames[static_cast<size_t>(ending)]);
}

std::string_view linear_setting(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

LinearChoice choose_way(Stream stream, const LinearArgs& asked) {
  std::vector<LinearWay> ways = linear_ways(asked);
  if (linear_setting("LITELANG_LINEAR") == plain_kernel().name)
    ways = {{plain_kernel().name, &plain_kernel()}};
  if (const LinearWay* way = asked_for(ways)) return {{*way}, 0, /*is_final=*/true};
  if (ways.size() == 1) return {std::move(ways)};
  AddRmsNormArgs norm;
  LinearArgs a = without_effects(stream, asked, norm);
  Stopwatch watch;
  std::vector<TimedWay> timed;
  float best_us = std::numeric_limits<float>::infinity();
  std::string log;
  for (LinearWay& way : ways) {
    float us = time_way(watch, stream, a, way, best_us);
    best_us = std::min(best_us, us);
    log += fmt::format(" {} {:.1f}", way.name, us);
    timed.push_back({std::move(way), us});
  }
  LinearChoice choice{ranked(std::move(timed))};
  if (!linear_setting("LITELANG_LINEAR_LOG").empty())
    fmt::print(stderr, "linear {}: {}; us:{}\n", linear_key(a).str(), choice.way().name, log);
  return choice;
}

}  // namespace ll::cuda
