#include "model/config/layer_table.h"

namespace ll {

namespace {

void add_layer(std::vector<WeightInfo>& table, const ModelConfig& c, int64_t layer) {
  std::string at = fmt::format("model.layers.{}.", layer);
  table.push_back({at + "input_layernorm.weight", {c.hidden_size}});
  table.push_back({at + "self_attn.q_proj.weight", {c.q_size(), c.hidden_size}});
  table.push_back({at + "self_attn.q_proj.bias", {c.q_size()}});
  table.push_back({at + "self_attn.k_proj.weight", {c.kv_size(), c.hidden_size}});
  table.push_back({at + "self_attn.k_proj.bias", {c.kv_size()}});
  table.push_back({at + "self_attn.v_proj.weight", {c.kv_size(), c.hidden_size}});
  table.push_back({at + "self_attn.v_proj.bias", {c.kv_size()}});
  table.push_back({at + "self_attn.o_proj.weight", {c.hidden_size, c.q_size()}});
  table.push_back({at + "post_attention_layernorm.weight", {c.hidden_size}});
  table.push_back({at + "mlp.gate_proj.weight", {c.intermediate_size, c.hidden_size}});
  table.push_back({at + "mlp.up_proj.weight", {c.intermediate_size, c.hidden_size}});
  table.push_back({at + "mlp.down_proj.weight", {c.hidden_size, c.intermediate_size}});
}

}  // namespace

std::vector<WeightInfo> weight_table(const ModelConfig& config) {
  std::vector<WeightInfo> table;
  table.push_back({"model.embed_tokens.weight", {config.vocab_size, config.hidden_size}});
  for (int64_t layer = 0; layer < config.num_layers; ++layer) add_layer(table, config, layer);
  table.push_back({"model.norm.weight", {config.hidden_size}});
  if (!config.tie_word_embeddings)
    table.push_back({"lm_head.weight", {config.vocab_size, config.hidden_size}});
  return table;
}

}  // namespace ll
