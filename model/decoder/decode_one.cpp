#include "model/decoder/decode_one.h"

#include "model/decoder/layer_view.h"

namespace ll {

namespace {

// Whether ranks share out nothing but what the kernel knows of.
bool is_shared_by_columns(const ModelShard& shard) {
  return shard.hidden_parts == 1 && shard.kv_parts == 1 && shard.merged_columns == 1;
}

// The handle; null on all ranks where it is on one.
void* create(const FusedDecodeApi& api, FusedDecodeModel model, const ProcessGrid& grid) {
  const MpiGroup& replica = grid.replica();
  if (replica.size() > 1) {
    auto bytes = static_cast<int64_t>(api.room_bytes(model, replica.size()));
    if (replica.min(bytes) == 0) return nullptr;
    model.ranks.rooms = grid.replica_comm().make_rooms(static_cast<size_t>(replica.max(bytes)));
    if (model.ranks.rooms.empty()) return nullptr;
  }
  void* handle = api.create(model);
  if (replica.min(handle != nullptr) > 0) return handle;
  if (handle) api.destroy(handle);
  return nullptr;
}

}  // namespace

std::unique_ptr<DecodeOne> DecodeOne::make(const FusedDecodeApi& api, const ModelPart& part,
                                           const DecoderWeights& weights, const Tensor& angles,
                                           const KvCache& kv, const ProcessGrid& grid) {
  const auto& [config, shard, dtype] = part;
  if (dtype != DType::bf16 || !is_shared_by_columns(shard)) return nullptr;
  FusedDecodeModel m{.num_heads = static_cast<int32_t>(shard.heads.size),
                     .num_kv_heads = static_cast<int32_t>(shard.kv_heads.size),
                     .head_dim = static_cast<int32_t>(config.head_dim),
                     .eps = config.rms_norm_eps,
                     .ranks = {.rank = grid.replica().rank(), .vocab_begin = shard.vocab.begin},
                     .embed = weights.embed.weight,
                     .lm_head = weights.lm_head.weight,
                     .final_norm = weights.final_norm.vector(),
                     .cos_sin = angles};
  for (size_t l = 0; l < weights.layers.size(); ++l)
    m.layers.push_back(
        {own_column(*config.family, weights.layers[l]), kv.layer(static_cast<int64_t>(l))});
  void* handle = create(api, m, grid);
  return handle ? std::unique_ptr<DecodeOne>(new DecodeOne(api, handle)) : nullptr;
}

DecodeOne::DecodeOne(const FusedDecodeApi& api, void* handle)
    : api_(api),
      handle_(handle, [&api](void* h) { api.destroy(h); }),
      max_positions_(api.max_positions(handle)) {}

void DecodeOne::run(Stream stream, const FusedDecodeStep& step) const {
  api_.run(stream, handle_.get(), step);
}

}  // namespace ll
