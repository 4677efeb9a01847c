#include "model/decoder/decode_one.h"

#include "model/decoder/layer_view.h"

namespace ll {

std::unique_ptr<DecodeOne> DecodeOne::make(const FusedDecodeApi& api, const ModelConfig& config,
                                           const DecoderWeights& weights, const Tensor& angles,
                                           const KvCache& kv) {
  FusedDecodeModel m{.num_heads = static_cast<int32_t>(config.num_heads),
                     .num_kv_heads = static_cast<int32_t>(config.num_kv_heads),
                     .head_dim = static_cast<int32_t>(config.head_dim),
                     .eps = config.rms_norm_eps,
                     .embed = weights.embed.weight,
                     .lm_head = weights.lm_head.weight,
                     .final_norm = weights.final_norm.vector(),
                     .cos_sin = angles};
  for (size_t l = 0; l < weights.layers.size(); ++l)
    m.layers.push_back(
        {own_column(*config.family, weights.layers[l]), kv.layer(static_cast<int64_t>(l))});
  void* handle = api.create(m);
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
