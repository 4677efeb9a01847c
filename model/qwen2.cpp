#include "model/qwen2.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "model/rope_table.h"

namespace ll {
namespace {

// Weights brought toward the processor ahead of their product, in steps of few rows, where memory is what decides. Amounts in bytes:
// what the memory can deliver in the gap they cover.
struct PrefetchPlan {
  int64_t max_rows = 256;
  size_t o = size_t{64} << 20, early_gate_up = size_t{12} << 20, gate_up = size_t{8} << 20;
  size_t down = size_t{12} << 20, qkv = size_t{8} << 20;
};

const PrefetchPlan& prefetch_plan() {
  static const PrefetchPlan plan = [] {
    PrefetchPlan p;
    if (const char* text = std::getenv("LITELANG_PREFETCH")) {
      long v[6] = {256, 64, 12, 8, 12, 8};
      std::sscanf(text, "%ld,%ld,%ld,%ld,%ld,%ld", v, v + 1, v + 2, v + 3, v + 4, v + 5);
      auto mb = [](long x) { return static_cast<size_t>(x) << 20; };
      p = {v[0], mb(v[1]), mb(v[2]), mb(v[3]), mb(v[4]), mb(v[5])};
    }
    return p;
  }();
  return plan;
}

// Bytes [offset, offset + bytes) of a weight, as far as it goes.
Prefetch part_of(const PackedWeight& w, size_t offset, size_t bytes, int64_t rows) {
  size_t size = w.weight.data.bytes();
  if (rows > prefetch_plan().max_rows || offset >= size) return {};
  return {static_cast<const std::byte*>(w.weight.data.data) + offset, std::min(bytes, size - offset)};
}

}  // namespace

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
    add_and_norm(stream, l > 0, layer.input_norm, rows, part_of(layer.qkv, 0, prefetch_plan().qkv, rows));
    if (observer_) observer_(l, residual);
    attention_block(stream, layer, inputs.batch, kv.layer(l));
    add_and_norm(stream, true, layer.post_attention_norm, rows,
                 part_of(layer.gate_up, prefetch_plan().early_gate_up, prefetch_plan().gate_up, rows));
    mlp_block(stream, layer, rows);
  }
  add_and_norm(stream, true, weights_.final_norm, rows, part_of(weights_.lm_head, 0, prefetch_plan().qkv, rows));
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
  int64_t rows = batch.num_tokens;
  ops.rope_and_store_kv(stream, {of(a_.qkv), rope_, kv, batch, heads, kv_heads,
                                 {part_of(layer.o, 0, prefetch_plan().o, rows),
                                  part_of(layer.gate_up, 0, prefetch_plan().early_gate_up, rows)}});
  ops.attention(stream, {of(a_.attention), of(a_.qkv), kv, batch, heads, kv_heads});
  ops.linear(stream, {of(a_.partial), of(a_.attention), layer.o.weight, {}});
}

void Qwen2Model::mlp_block(Stream stream, const Qwen2Layer& layer, int64_t rows) {
  auto of = [&](const Tensor& t) { return t.view().rows(0, rows); };
  const Ops& ops = backend_.ops;
  ops.linear(stream, {of(a_.act), of(a_.normed), layer.gate_up.weight, {}, Epilogue::kSiluAndMul,
                     part_of(layer.down, 0, prefetch_plan().down, rows)});
  ops.linear(stream, {of(a_.partial), of(a_.act), layer.down.weight, {}});
}

void Qwen2Model::add_and_norm(Stream stream, bool pending, const Tensor& weight, int64_t rows,
                              Prefetch next) {
  auto of = [&](const Tensor& t) { return t.view().rows(0, rows); };
  grid_.y_comm().all_reduce_add_rms_norm(
      stream, {of(a_.normed), of(a_.residual), pending ? of(a_.partial) : TensorView{}, weight,
               config_.rms_norm_eps, next});
}

void Qwen2Model::prepare_decode_one(const KvCache& kv) {
  if (!backend_.fused_decode || grid_.shape().replica_size() > 1 || dtype() != DType::bf16) return;
  FusedDecodeModel m{.num_heads = static_cast<int32_t>(config_.num_heads),
                     .num_kv_heads = static_cast<int32_t>(config_.num_kv_heads),
                     .head_dim = static_cast<int32_t>(config_.head_dim),
                     .eps = config_.rms_norm_eps,
                     .embed = weights_.embed.weight,
                     .lm_head = weights_.lm_head.weight,
                     .final_norm = weights_.final_norm,
                     .cos_sin = rope_};
  for (size_t l = 0; l < weights_.layers.size(); ++l) {
    const Qwen2Layer& w = weights_.layers[l];
    m.layers.push_back({w.input_norm, w.qkv.weight, w.qkv_bias, w.o.weight, w.post_attention_norm,
                        w.gate_up.weight, w.down.weight, kv.layer(static_cast<int64_t>(l))});
  }
  void* handle = backend_.fused_decode->create(m);
  if (!handle) return;
  decode_one_ = std::shared_ptr<void>(handle, [&api = *backend_.fused_decode](void* h) { api.destroy(h); });
  decode_one_positions_ = backend_.fused_decode->max_positions(handle);
}

void Qwen2Model::decode_one(Stream stream, const StepInputs& inputs, TensorView logits) {
  const BatchView& b = inputs.batch;
  backend_.fused_decode->run(stream, decode_one_.get(),
                             {inputs.ids, inputs.last_tokens, b.positions, b.slots, b.page_table,
                              b.page_table_stride, logits.as<float>()});
}

void Qwen2Model::logits(Stream stream, TensorView hidden, TensorView out) const {
  backend_.ops.linear(stream, {out, hidden, weights_.lm_head.weight, {}});
}

}  // namespace ll
