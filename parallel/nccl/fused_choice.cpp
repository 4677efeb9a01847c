#include "parallel/nccl/fused_choice.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include "base/hash/hash.h"

namespace ll {
namespace {

constexpr int64_t kCommonHidden = 3584;

// Rows of random tensors of the kind the model uses; each rank adds another delta.
struct Sample {
  Sample(const Backend& b, Stream stream, int64_t rows, int64_t hidden, int rank)
      : out(b.device, DType::bf16, {rows, hidden}),
        residual(b.device, DType::bf16, {rows, hidden}),
        delta(b.device, DType::bf16, {rows, hidden}),
        weight(b.device, DType::bf16, {hidden}) {
    b.ops.fill_random(stream, residual, 1, 1, 0, 0, hidden);
    b.ops.fill_random(stream, delta, 2 + static_cast<uint64_t>(rank), 1, 0, 0, hidden);
    b.ops.fill_random(stream, weight, 0, 1, 0, 0, 1);
  }
  AddRmsNormArgs args() const { return {out, residual, delta, weight, 1e-6f}; }
  Tensor out, residual, delta, weight;
};

class Comparison {
 public:
  Comparison(const Backend& backend, const MpiGroup& group, const PlainAllReduce& plain)
      : backend_(backend),
        group_(group),
        plain_(plain),
        stream_(backend.device.create_side_stream()) {}
  ~Comparison() { backend_.device.destroy_stream(stream_); }
  Comparison(const Comparison&) = delete;
  Comparison& operator=(const Comparison&) = delete;

  // The fused kernel's residuals against NCCL's, and against the other ranks'.
  bool agrees(NcclFused& fused) {
    bool good = true;
    for (int64_t hidden : {int64_t{64}, kCommonHidden})
      for (int64_t rows : {int64_t{1}, fused.max_rows()})
        for (int repeat = 0; repeat < 3; ++repeat) good &= agrees(fused, rows, hidden);
    return group_.min(good) > 0;
  }

  // The slowest rank's nanoseconds for rows of a common hidden size, without a kernel by NCCL.
  int64_t nanoseconds(NcclFused* fused, int64_t rows) {
    Sample s(backend_, stream_, rows, kCommonHidden, group_.rank());
    double us =
        microseconds([&] { fused ? fused->run(stream_, s.args()) : plain_(stream_, s.args()); });
    return group_.max(static_cast<int64_t>(1e3 * us));
  }

 private:
  bool agrees(NcclFused& fused, int64_t rows, int64_t hidden) {
    Sample a(backend_, stream_, rows, hidden, group_.rank()),
        b(backend_, stream_, rows, hidden, group_.rank());
    fused.run(stream_, a.args());
    plain_(stream_, b.args());
    auto by_kernel = host(a.residual), plain = host(b.residual);
    Fnv32 hash;
    double difference = 0, norm = 0;
    for (size_t i = 0; i < by_kernel.size(); ++i) {
      hash.add(by_kernel[i].bits);
      difference += std::pow(to_float(by_kernel[i]) - to_float(plain[i]), 2);
      norm += std::pow(to_float(plain[i]), 2);
    }
    bool is_shared = group_.min(hash.value) == group_.max(hash.value);
    return difference <= 1e-4 * norm && is_shared;
  }

  std::vector<bf16> host(const Tensor& t) const {
    std::vector<bf16> values(static_cast<size_t>(t.view().numel()));
    backend_.device.copy(stream_, values.data(), t.view().data, t.bytes());
    backend_.device.synchronize(stream_);
    return values;
  }

  // Device time of one call: calls are replayed as a graph.
  double microseconds(const std::function<void()>& call) const {
    constexpr int kCalls = 20, kReplays = 4;
    const DeviceApi& device = backend_.device;
    backend_.graphs->begin_capture(stream_);
    for (int i = 0; i < kCalls; ++i) call();
    Graph graph = backend_.graphs->end_capture(stream_);
    Event from = device.create_event(), to = device.create_event();
    double best = 1e9;
    for (int replay = 0; replay < kReplays; ++replay) {
      group_.barrier();
      device.record(from, stream_);
      backend_.graphs->launch(graph, stream_);
      device.record(to, stream_);
      device.wait_host(to);
      best = std::min(best, 1e3 * device.elapsed_ms(from, to) / kCalls);
    }
    device.destroy_event(from);
    device.destroy_event(to);
    backend_.graphs->destroy(graph);
    return best;
  }

  const Backend& backend_;
  const MpiGroup& group_;
  const PlainAllReduce& plain_;
  Stream stream_;
};

// For 1, 2, 4, ... rows the fastest of those that agree.
std::vector<FusedChoice> measure(Comparison& comparison,
                                 const std::vector<std::unique_ptr<NcclFused>>& kernels,
                                 const std::vector<bool>& agrees) {
  std::vector<FusedChoice> choices;
  int64_t most = 0;
  for (size_t k = 0; k < kernels.size(); ++k)
    if (agrees[k]) most = std::max(most, kernels[k]->max_rows());
  for (int64_t rows = 1; rows <= most; rows *= 2) {
    FusedChoice best{rows, FusedChoice::kPlain};
    int64_t least = comparison.nanoseconds(nullptr, rows);
    for (size_t k = 0; k < kernels.size(); ++k) {
      if (!agrees[k] || rows > kernels[k]->max_rows()) continue;
      int64_t ns = comparison.nanoseconds(kernels[k].get(), rows);
      if (ns < least) best.kernel = static_cast<int>(k), least = ns;
    }
    choices.push_back(best);
  }
  return choices;
}

}  // namespace

std::vector<FusedChoice> choose_fused(const Backend& backend, const MpiGroup& group,
                                      const std::vector<std::unique_ptr<NcclFused>>& kernels,
                                      const PlainAllReduce& plain) {
  static std::map<int, std::vector<FusedChoice>> known;  // by the size of the group
  auto found = known.find(group.size());
  // Members may have been in other groups before: what one does not know is measured again.
  if (group.min(found != known.end()) > 0) return found->second;
  Comparison comparison(backend, group, plain);
  std::vector<bool> agrees;
  for (const auto& kernel : kernels) agrees.push_back(comparison.agrees(*kernel));
  if (group.rank() == 0 && std::count(agrees.begin(), agrees.end(), false) > 0)
    fmt::print(
        stderr,
        "litelang: a fused all-reduce disagrees with NCCL's on this machine; not using it\n");
  return known[group.size()] = measure(comparison, kernels, agrees);
}

}  // namespace ll
