#include "runtime/decode_graphs.h"

namespace ll {
namespace {

// 1, 2, 4, 8, then every 8 to 64, every 16 to 256, every 32 above: padding costs at most an eighth
// or so.
int32_t round_up_to_bucket(int32_t rows) {
  auto multiple = [&](int32_t unit) { return (rows + unit - 1) / unit * unit; };
  if (rows <= 2) return rows;
  if (rows <= 4) return 4;
  return rows <= 64 ? multiple(8) : rows <= 256 ? multiple(16) : multiple(32);
}

}  // namespace

DecodeGraphs::DecodeGraphs(const Backend& backend, Stream stream, int32_t max_rows)
    : backend_(backend), stream_(stream), max_rows_(backend.graphs ? max_rows : 0) {}

DecodeGraphs::~DecodeGraphs() {
  backend_.device.synchronize(stream_);
  for (auto& [key, entry] : entries_)
    if (entry.is_captured) backend_.graphs->destroy(entry.graph);
}

int32_t DecodeGraphs::bucket(int32_t rows) const {
  int32_t padded = round_up_to_bucket(rows);
  return padded <= max_rows_ ? padded : 0;
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
