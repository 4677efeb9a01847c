#include "model/decoder/kv_cache.h"

namespace ll {

KvCache::KvCache(const Backend& backend, const ModelPart& part, int64_t num_pages,
                 int64_t page_size)
    : num_pages_(num_pages), page_size_(page_size), positions_(part.shard.positions(page_size)) {
  const auto& [config, shard, dtype] = part;
  Shape pool{num_pages, shard.kv_heads.size, page_size, config.head_dim};
  memory_ =
      Tensor(backend.device, dtype,
             {2 * config.num_layers, num_pages, shard.kv_heads.size, page_size * config.head_dim});
  for (int64_t l = 0; l < config.num_layers; ++l) {
    TensorView k = memory_.view().rows(2 * l, 1), v = memory_.view().rows(2 * l + 1, 1);
    layers_.push_back({k.reshaped(pool), v.reshaped(pool), shard.positions(page_size)});
  }
}

void KvCache::copy_pages(Stream stream, const Ops& ops, const PageCopy* device_copies,
                         int32_t count) const {
  if (count > 0) ops.copy_pages(stream, memory_, page_size_, device_copies, count);
}

size_t KvCache::page_bytes(const ModelPart& part, int64_t page_size) {
  const auto& [config, shard, dtype] = part;
  return static_cast<size_t>(2 * config.num_layers * shard.kv_heads.size * page_size *
                             config.head_dim) *
         size_of(dtype);
}

}  // namespace ll
