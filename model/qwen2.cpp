#include "model/qwen2.h"

#include "model/rope_table.h"

namespace ll {

Qwen2Model::Qwen2Model(const ModelConfig& config, const ModelShard& shard, Qwen2Weights weights,
                       const Backend& backend, const ProcessGrid& grid, int64_t max_tokens,
                       int64_t num_positions)
    : config_(config), shard_(shard), weights_(std::move(weights)), backend_(backend), grid_(grid) {
  auto activation = [&](int64_t width) {
    return Tensor(backend.device, weights_.dtype, {max_tokens, width});
  };
  a_ = {.residual = activation(shard.hidden.size),
        .normed = activation(shard.hidden.size),
        .partial = activation(shard.hidden.size),
        .qkv = activation(shard.qkv_rows(config)),
        .attention = activation(shard.heads.size * config.head_dim),
        .act = activation(shard.ffn.size)};
  std::vector<float> angles = rope_table(config, num_positions);
  rope_ = Tensor(backend.device, DType::f32, {num_positions, config.head_dim});
  Stream stream = backend.device.create_stream();
  backend.device.copy(stream, rope_.view().data, angles.data(), rope_.bytes());
  backend.device.synchronize(stream);
  backend.device.destroy_stream(stream);
}

size_t Qwen2Model::activation_bytes(const ModelConfig& config, const ModelShard& shard, DType dtype,
                                    int64_t max_tokens, int64_t num_positions) {
  int64_t width = 3 * shard.hidden.size + shard.qkv_rows(config) +
                  shard.heads.size * config.head_dim + shard.ffn.size;
  return static_cast<size_t>(max_tokens * width) * size_of(dtype) +
         static_cast<size_t>(num_positions * config.head_dim) * sizeof(float);
}

TensorView Qwen2Model::forward(Stream stream, const StepInputs& inputs, const KvCache& kv) {
  int64_t rows = inputs.batch.num_tokens;
  TensorView residual = a_.residual.view().rows(0, rows);
  backend_.ops.begin_step(stream, inputs.batch, static_cast<int32_t>(shard_.heads.size),
                          static_cast<int32_t>(shard_.kv_heads.size));
  backend_.ops.embed(stream, {residual, weights_.embed.weight, inputs.ids, inputs.last_tokens,
                              shard_.vocab.begin});
  grid_.replica_comm().all_reduce_sum(stream, residual);
  for (int64_t l = 0; l < config_.num_layers; ++l) {
    const Qwen2Layer& layer = weights_.layers[static_cast<size_t>(l)];
    add_and_norm(stream, l > 0, layer.input_norm, rows);
    if (observer_) observer_(l, residual);
    attention_block(stream, layer, inputs.batch, kv.layer(l));
    add_and_norm(stream, true, layer.post_attention_norm, rows);
    mlp_block(stream, layer, rows);
  }
  add_and_norm(stream, true, weights_.final_norm, rows);
  if (observer_) observer_(config_.num_layers, residual);
  return a_.normed.view().rows(0, rows);
}

void Qwen2Model::attention_block(Stream stream, const Qwen2Layer& layer, const BatchView& batch,
                                 const KvPages& kv) {
  auto of = [&](const Tensor& t) { return t.view().rows(0, batch.num_tokens); };
  auto heads = static_cast<int32_t>(shard_.heads.size),
       kv_heads = static_cast<int32_t>(shard_.kv_heads.size);
  const Ops& ops = backend_.ops;
  ops.linear(stream, {of(a_.qkv), of(a_.normed), layer.qkv.weight, layer.qkv_bias});
  ops.rope_and_store_kv(stream, {of(a_.qkv), rope_, kv, batch, heads, kv_heads});
  ops.attention(stream, {of(a_.attention), of(a_.qkv), kv, batch, heads, kv_heads});
  ops.linear(stream, {of(a_.partial), of(a_.attention), layer.o.weight, {}});
}

void Qwen2Model::mlp_block(Stream stream, const Qwen2Layer& layer, int64_t rows) {
  auto of = [&](const Tensor& t) { return t.view().rows(0, rows); };
  const Ops& ops = backend_.ops;
  ops.linear(stream, {of(a_.act), of(a_.normed), layer.gate_up.weight, {}, Epilogue::kSiluAndMul});
  ops.linear(stream, {of(a_.partial), of(a_.act), layer.down.weight, {}});
}

void Qwen2Model::add_and_norm(Stream stream, bool pending, const Tensor& weight, int64_t rows) {
  auto of = [&](const Tensor& t) { return t.view().rows(0, rows); };
  grid_.y_comm().all_reduce_add_rms_norm(
      stream, {of(a_.normed), of(a_.residual), pending ? of(a_.partial) : TensorView{}, weight,
               config_.rms_norm_eps});
}

void Qwen2Model::logits(Stream stream, TensorView hidden, TensorView out) const {
  backend_.ops.linear(stream, {out, hidden, weights_.lm_head.weight, {}});
}

}  // namespace ll
