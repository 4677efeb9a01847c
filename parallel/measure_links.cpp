#include <algorithm>
#include <chrono>
#include <cmath>

#include "parallel/grid_cost.h"
#include "parallel/mpi_communicator.h"

namespace ll {
namespace {

constexpr int64_t kSmall = 1024, kLarge = int64_t{1} << 21;  // bfloat16 elements
constexpr int kRepeats = 5, kCalls = 10;

// Seconds of a sum of `count` elements, the best of a few runs on the slowest member.
double sum_seconds(const Backend& backend, const MpiGroup& group, Communicator& comm, Stream stream,
                   int64_t count) {
  using Clock = std::chrono::steady_clock;
  Tensor x(backend.device, DType::bf16, {count});
  backend.device.fill(stream, x.view().data, 0, x.bytes());
  int64_t best = INT64_MAX;
  for (int i = 0; i < kRepeats; ++i) {
    backend.device.synchronize(stream);
    group.barrier();
    auto start = Clock::now();
    for (int call = 0; call < kCalls; ++call) comm.all_reduce_sum(stream, x);
    backend.device.synchronize(stream);
    int64_t ns = std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start).count();
    best = std::min(best, group.max(ns));
  }
  return static_cast<double>(best) / kCalls * 1e-9;
}

}  // namespace

LinkRates measure_links(const Backend& backend, const MpiGroup& group, LinkRates preset) {
  if (group.size() == 1) return preset;
  auto comm = make_communicator(backend, group);
  Stream stream = backend.device.create_stream();
  double small = sum_seconds(backend, group, *comm, stream, kSmall),
         large = sum_seconds(backend, group, *comm, stream, kLarge);
  backend.device.destroy_stream(stream);
  // How latency grows with the members is taken from the preset.
  double growth = preset.start_log_s / preset.start_s, n = group.size();
  preset.start_s = small / (1 + growth * std::log2(n));
  preset.start_log_s = growth * preset.start_s;
  double bytes = static_cast<double>((kLarge - kSmall) * 2);
  preset.bytes_per_s = 2 * (n - 1) / n * bytes / std::max(large - small, 1e-9);
  return preset;
}

}  // namespace ll
