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
  using Plain = std::function<void(Stream, const AddRmsNormArgs&)>;

  Comparison(const Backend& backend, const MpiGroup& group, NcclFused& fused, const Plain& plain)
      : backend_(backend),
        group_(group),
        fused_(fused),
        plain_(plain),
        stream_(backend.device.create_side_stream()) {}
  ~Comparison() { backend_.device.destroy_stream(stream_); }
  Comparison(const Comparison&) = delete;
  Comparison& operator=(const Comparison&) = delete;

  // The fused kernel's residuals against NCCL's, and against the other ranks'.
  bool agrees() {
    bool good = true;
    for (int64_t hidden : {int64_t{64}, kCommonHidden})
      for (int64_t rows : {int64_t{1}, kFewRows})
        for (int repeat = 0; repeat < 3; ++repeat) good &= agrees(rows, hidden);
    return group_.min(good) > 0;
  }

  // At a common hidden size.
  int64_t rows_where_faster() {
    int64_t most = 0;
    for (int64_t rows = 1; rows <= kFewRows; rows *= 2) {
      Sample s(backend_, stream_, rows, kCommonHidden, group_.rank());
      double fused = microseconds([&] { fused_.run(stream_, s.args()); });
      double plain = microseconds([&] { plain_(stream_, s.args()); });
      if (group_.min(fused < plain) > 0) most = rows;
    }
    return most;
  }

 private:
  bool agrees(int64_t rows, int64_t hidden) {
    Sample a(backend_, stream_, rows, hidden, group_.rank()),
        b(backend_, stream_, rows, hidden, group_.rank());
    fused_.run(stream_, a.args());
    plain_(stream_, b.args());
    auto fused = host(a.residual), plain = host(b.residual);
    Fnv32 hash;
    double difference = 0, norm = 0;
    for (size_t i = 0; i < fused.size(); ++i) {
      hash.add(fused[i].bits);
      difference += std::pow(to_float(fused[i]) - to_float(plain[i]), 2);
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
  NcclFused& fused_;
  const Plain& plain_;
  Stream stream_;
};

}  // namespace

int64_t fused_rows(const Backend& backend, const MpiGroup& group, NcclFused& fused,
                   const std::function<void(Stream, const AddRmsNormArgs&)>& plain) {
  static std::map<int, int64_t> known;  // by the size of the group
  auto found = known.find(group.size());
  // Members may have been in other groups before: only what all know needs no measuring.
  if (group.min(found != known.end()) > 0) return group.min(found->second);
  Comparison comparison(backend, group, fused, plain);
  int64_t rows = comparison.agrees() ? comparison.rows_where_faster() : -1;
  if (rows < 0 && group.rank() == 0)
    fmt::print(
        stderr,
        "litelang: the fused all-reduce disagrees with NCCL's on this machine; using NCCL's\n");
  return known[group.size()] = std::max<int64_t>(rows, 0);
}

}  // namespace ll
