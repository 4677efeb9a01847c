#include "model/decoder/decode_one.h"

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
  for (size_t l = 0; l < weights.layers.size(); ++l) {
    const DecoderLayer& w = weights.layers[l];
    m.layers.push_back({.input_norm = w[WeightPart::kInputNorm].vector(),
                        .qkv = w[WeightPart::kQkv].weight,
                        .qkv_bias = w[WeightPart::kQkv].bias,
                        .o = w[WeightPart::kAttentionOut].weight,
                        .post_attention_norm = w[WeightPart::kPostAttentionNorm].vector(),
                        .gate_up = w[WeightPart::kGateUp].weight,
                        .down = w[WeightPart::kDown].weight,
                        .kv = kv.layer(static_cast<int64_t>(l))});
  }
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
