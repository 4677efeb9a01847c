#pragma once
// The KV pages of this rank, all layers: memory only. Which page belongs to whom is rank 0's
// business (runtime/schedule/page_pool.h). Where several ranks share the positions of the same
// heads, each page of the sequence stands for a page on each of them (kernels/position_split.h).
#include <vector>

#include "kernels/backend.h"
#include "model/config/model_config.h"
#include "model/shard/model_shard.h"

namespace ll {

class KvCache {
 public:
  KvCache(const Backend& backend, const ModelPart& part, int64_t num_pages, int64_t page_size);

  const KvPages& layer(int64_t i) const { return layers_[static_cast<size_t>(i)]; }
  int64_t num_pages() const { return num_pages_; }
  int64_t page_size() const { return page_size_; }  // positions this rank has in a page
  const PositionSplit& positions() const { return positions_; }

  void copy_pages(Stream stream, const Ops& ops, const PageCopy* device_copies,
                  int32_t count) const;

  // Bytes of one page over all layers.
  static size_t page_bytes(const ModelPart& part, int64_t page_size);

 private:
  Tensor memory_;  // [2 layers, num_pages, KH, page_size * D]: each layer's keys, then its values
  std::vector<KvPages> layers_;
  int64_t num_pages_, page_size_;
  PositionSplit positions_;
};

}  // namespace ll
