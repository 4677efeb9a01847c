#include "runtime/engine/decode_graphs.h"

#include <algorithm>

#include "base/numbers.h"

namespace ll {
namespace {

// 1, 2, 4, 8, then every 8 to 64, every 16 to 256, every 32 to 512, every 64 above: padding costs
// at most an eighth or so.
int32_t round_up_to_bucket(int32_t rows) {
  auto multiple = [&](int32_t unit) { return round_up(rows, unit); };
  if (rows <= 2) return rows;
  if (rows <= 4) return 4;
  return rows <= 64 ? multiple(8) : rows <= 256 ? multiple(16) : multiple(rows <= 512 ? 32 : 64);
}

// Kernels of a step, with collectives, splits and prefetches counted generously.
constexpr int64_t kNodesPerLayer = 16, kOtherNodes = 32;
constexpr int64_t kBytesPerNode = int64_t{16} << 10;

}  // namespace

DecodeGraphs::DecodeGraphs(const Backend& backend, Stream stream, int32_t max_rows)
    : backend_(backend), stream_(stream), max_rows_(backend.graphs ? max_rows : 0) {}

DecodeGraphs::~DecodeGraphs() {
  backend_.device.synchronize(stream_);
  for (auto& [key, entry] : entries_)
    if (entry.is_captured) backend_.graphs->destroy(entry.graph);
}

int32_t DecodeGraphs::bucket(int32_t rows) const {
  return rows <= max_rows_ ? std::min(round_up_to_bucket(rows), max_rows_) : 0;
}

std::vector<int32_t> DecodeGraphs::buckets() const {
  std::vector<int32_t> all;
  for (int32_t rows = 1; rows <= max_rows_; rows = all.back() + 1) all.push_back(bucket(rows));
  return all;
}

size_t DecodeGraphs::estimated_bytes(int32_t max_rows, int64_t num_layers) {
  int64_t num_buckets = 0;
  for (int32_t rows = 1; rows <= max_rows; rows = round_up_to_bucket(rows) + 1) ++num_buckets;
  return static_cast<size_t>(num_buckets * (num_layers * kNodesPerLayer + kOtherNodes) *
                             kBytesPerNode);
}

void DecodeGraphs::run(const Key& key, const std::function<void()>& work) {
  Entry& entry = entries_[key];
  if (!entry.is_warm) {
    entry.is_warm = true;
    return work();
  }
  if (!entry.is_captured) {
    backend_.graphs->begin_capture(stream_);
    work();
    entry.graph = backend_.graphs->end_capture(stream_);
    entry.is_captured = true;
  }
  backend_.graphs->launch(entry.graph, stream_);
}

}  // namespace ll
