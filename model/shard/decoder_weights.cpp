#include "model/shard/decoder_weights.h"

#include <algorithm>

#include "model/shard/weight_reader.h"
#include "model/shard/weight_visit.h"

namespace ll {
namespace {

using Block = WeightPlacement::Block;

WeightPlacement vector_of(std::vector<Block> blocks) {
  WeightPlacement p{.blocks = std::move(blocks), .is_matrix = false, .cols = 1};
  for (const Block& b : p.blocks) p.rows += b.part.rows.size;
  return p;
}

WeightPlacement matrix_of(std::vector<Block> blocks, bool alternate = false) {
  WeightPlacement p = vector_of(std::move(blocks));
  p.alternate = alternate;
  p.is_matrix = true;
  p.cols = p.blocks.front().part.cols.size;
  return p;
}

WeightPlacements::Layer layer_placements(const ModelConfig& c, const ModelShard& s, int64_t index) {
  std::string prefix = fmt::format("model.layers.{}.", index), attention = prefix + "self_attn.",
              mlp = prefix + "mlp.";
  auto rows_of = [&](Range heads) {
    return Range{heads.begin * c.head_dim, heads.size * c.head_dim};
  };
  Range q = rows_of(s.heads), kv = rows_of(s.kv_heads), one{0, 1};
  int64_t turned = c.head_dim;
  return {.input_norm = vector_of({{prefix + "input_layernorm.weight", {s.hidden, one}}}),
          .qkv = matrix_of({{attention + "q_proj.weight", {q, s.hidden}, turned},
                            {attention + "k_proj.weight", {kv, s.hidden}, turned},
                            {attention + "v_proj.weight", {kv, s.hidden}}}),
          .qkv_bias = vector_of({{attention + "q_proj.bias", {q, one}, turned},
                                 {attention + "k_proj.bias", {kv, one}, turned},
                                 {attention + "v_proj.bias", {kv, one}}}),
          .o = matrix_of({{attention + "o_proj.weight", {s.hidden, s.attention}}}),
          .post_attention_norm =
              vector_of({{prefix + "post_attention_layernorm.weight", {s.hidden, one}}}),
          .gate_up = matrix_of({{mlp + "gate_proj.weight", {s.ffn, s.hidden}},
                                {mlp + "up_proj.weight", {s.ffn, s.hidden}}},
                               true),
          .down = matrix_of({{mlp + "down_proj.weight", {s.hidden, s.ffn}}})};
}

uint64_t seed_of(uint64_t seed, const std::string& name) {  // FNV-1a
  uint64_t hash = 14695981039346656037u ^ seed;
  for (char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return hash;
}

void fill_ones(const Tensor& t, const Backend& backend, Stream stream) {
  auto n = static_cast<size_t>(t.view().numel());
  std::vector<float> ones(n, 1.0f);
  std::vector<bf16> half(n, to_bf16(1.0f));
  const void* data =
      t.view().dtype == DType::f32 ? static_cast<const void*>(ones.data()) : half.data();
  backend.device.copy(stream, t.view().data, data, t.bytes());
  backend.device.synchronize(stream);
}

constexpr float kRandomScale = 0.035f;  // standard deviation 0.02, as Qwen2 is initialised

void fill_placement(const WeightPlacement& p, const Tensor& t, const ModelConfig& config,
                    const Backend& backend, Stream stream, uint64_t seed) {
  int64_t full_cols =
      p.is_matrix ? (p.blocks[0].name.ends_with("down_proj.weight") ? config.intermediate_size
                     : p.blocks[0].name.ends_with("o_proj.weight")  ? config.q_size()
                                                                    : config.hidden_size)
                  : 1;
  if (p.blocks[0].name.ends_with("norm.weight")) return fill_ones(t, backend, stream);
  if (p.alternate) {  // row 2r is gate's row r: one run of an interleaved whole
    const ShardSpec& part = p.blocks[0].part;
    backend.ops.fill_random(stream, t, seed_of(seed, p.blocks[0].name), kRandomScale,
                            2 * part.rows.begin, part.cols.begin, full_cols);
    return;
  }
  int64_t row = 0;
  for (const Block& b : p.blocks) {
    backend.ops.fill_random(stream, t.view().rows(row, b.part.rows.size), seed_of(seed, b.name),
                            kRandomScale, b.part.rows.begin, b.part.cols.begin, full_cols);
    row += b.part.rows.size;
  }
}

}  // namespace

WeightPlacements weight_placements(const ModelConfig& config, const ModelShard& shard) {
  WeightPlacements p;
  Range all{0, config.hidden_size}, one{0, 1};
  p.embed = matrix_of({{"model.embed_tokens.weight", {shard.vocab, all}}});
  if (!config.tie_word_embeddings) p.lm_head = matrix_of({{"lm_head.weight", {shard.vocab, all}}});
  p.final_norm = vector_of({{"model.norm.weight", {shard.hidden, one}}});
  for (int64_t l = 0; l < config.num_layers; ++l)
    p.layers.push_back(layer_placements(config, shard, l));
  return p;
}

size_t weight_bytes(const WeightPlacements& placements, const Ops& ops, DType dtype) {
  size_t bytes = 0;
  DecoderWeights unused;
  for_each_placement(placements, unused,
                     [&](const WeightPlacement& p, PackedWeight* matrix, Tensor*) {
                       bytes += matrix ? ops.packed_bytes(p.rows, p.cols, dtype)
                                       : static_cast<size_t>(p.rows) * size_of(dtype);
                     });
  return bytes;
}

DType model_dtype(DType stored) { return stored == DType::f32 ? DType::f32 : DType::bf16; }

DecoderWeights load_weights(const WeightStore& store, const ModelShard& shard, DType dtype,
                            const Backend& backend, Stream stream, int num_threads,
                            const LoadProgress& progress) {
  WeightPlacements placements = weight_placements(store.config(), shard);
  DecoderWeights weights;
  weights.dtype = dtype;
  struct Target {
    PackedWeight* matrix;
    Tensor* vector;
  };
  std::vector<const WeightPlacement*> order;
  std::vector<Target> targets;
  for_each_placement(placements, weights,
                     [&](const WeightPlacement& p, PackedWeight* matrix, Tensor* vector) {
                       order.push_back(&p);
                       targets.push_back({matrix, vector});
                     });
  WeightReader reader(store, dtype, backend, stream, num_threads);
  reader.read(
      order,
      [&](size_t i, Tensor natural) {
        adopt(std::move(natural), targets[i].matrix, targets[i].vector, backend, stream);
      },
      progress);
  tie(weights, placements);
  return weights;
}

DecoderWeights random_weights(const ModelConfig& config, const ModelShard& shard, DType dtype,
                              const Backend& backend, Stream stream, uint64_t seed) {
  WeightPlacements placements = weight_placements(config, shard);
  DecoderWeights weights;
  weights.dtype = dtype;
  for_each_placement(placements, weights,
                     [&](const WeightPlacement& p, PackedWeight* matrix, Tensor* vector) {
                       Tensor natural = natural_tensor(p, dtype, backend);
                       fill_placement(p, natural, config, backend, stream, seed);
                       adopt(std::move(natural), matrix, vector, backend, stream);
                     });
  backend.device.synchronize(stream);
  tie(weights, placements);
  return weights;
}

}  // namespace ll
