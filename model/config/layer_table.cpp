#include "model/config/layer_table.h"

#include <fmt/format.h>

#include <algorithm>

namespace ll {
namespace {

using Part = WeightPart;
using Kind = WeightRow::Kind;

constexpr WeightRow kModelRows[] = {
    {.part = Part::kEmbed, .tensors = {{{"model.embed_tokens", Axis::kVocab, Axis::kWholeHidden}}}},
    {.part = Part::kFinalNorm, .kind = Kind::kNorm, .tensors = {{{"model.norm", Axis::kHidden}}}},
    {.part = Part::kLmHead, .tensors = {{{"lm_head", Axis::kVocab, Axis::kWholeHidden}}}}};

constexpr WeightRow kQwen2Layer[] = {
    {.part = Part::kInputNorm,
     .kind = Kind::kNorm,
     .tensors = {{{"input_layernorm", Axis::kHidden}}}},
    {.part = Part::kQkv,
     .has_bias = true,
     .tensors = {{{"self_attn.q_proj", Axis::kQueries, Axis::kHidden, /*is_turned=*/true},
                  {"self_attn.k_proj", Axis::kKeys, Axis::kHidden, /*is_turned=*/true},
                  {"self_attn.v_proj", Axis::kKeys, Axis::kHidden}}}},
    {.part = Part::kAttentionOut,
     .tensors = {{{"self_attn.o_proj", Axis::kHidden, Axis::kAttention}}}},
    {.part = Part::kPostAttentionNorm,
     .kind = Kind::kNorm,
     .tensors = {{{"post_attention_layernorm", Axis::kHidden}}}},
    {.part = Part::kGateUp,
     .alternate = true,
     .tensors = {{{"mlp.gate_proj", Axis::kFfn, Axis::kHidden},
                  {"mlp.up_proj", Axis::kFfn, Axis::kHidden}}}},
    {.part = Part::kDown, .tensors = {{{"mlp.down_proj", Axis::kHidden, Axis::kFfn}}}}};

std::string tensor_name(const FileTensor& tensor, int64_t layer, const char* what) {
  if (layer == kNoLayer) return fmt::format("{}.{}", tensor.name, what);
  return fmt::format("model.layers.{}.{}.{}", layer, tensor.name, what);
}

}  // namespace

constexpr ModelFamily kQwen2{
    .model_type = "qwen2", .architecture = "Qwen2ForCausalLM", .layer = kQwen2Layer};

int64_t extent_of(const ModelConfig& c, Axis axis) {
  switch (axis) {
    case Axis::kHidden:
    case Axis::kWholeHidden:
      return c.hidden_size;
    case Axis::kQueries:
    case Axis::kAttention:
      return c.q_size();
    case Axis::kKeys:
      return c.kv_size();
    case Axis::kFfn:
      return c.intermediate_size;
    case Axis::kVocab:
      return c.vocab_size;
    case Axis::kOne:
      break;
  }
  return 1;
}

std::span<const FileTensor> WeightRow::pieces() const {
  auto is_none = [](const FileTensor& t) { return t.name == nullptr; };
  auto end = std::find_if(tensors.begin(), tensors.end(), is_none);
  return {tensors.begin(), end};
}

bool WeightRow::is_cut_by_columns() const {
  Axis rows = tensors[0].rows, cols = tensors[0].cols;
  return is_cut_by_heads() || rows == Axis::kFfn || cols == Axis::kFfn || cols == Axis::kAttention;
}

bool WeightRow::is_cut_by_heads() const { return tensors[0].rows == Axis::kQueries; }

std::span<const ModelFamily* const> model_families() {
  static constexpr const ModelFamily* kAll[] = {&kQwen2};
  return kAll;
}

const WeightRow& model_row(WeightPart part) {
  return *std::find_if(std::begin(kModelRows), std::end(kModelRows),
                       [&](const WeightRow& row) { return row.part == part; });
}

std::string weight_name(const FileTensor& tensor, int64_t layer) {
  return tensor_name(tensor, layer, "weight");
}

std::string bias_name(const FileTensor& tensor, int64_t layer) {
  return tensor_name(tensor, layer, "bias");
}

std::vector<WeightInfo> weight_table(const ModelConfig& config) {
  std::vector<WeightInfo> table;
  for_each_row(config, [&](const WeightRow& row, int64_t layer) {
    for (const FileTensor& t : row.pieces()) {
      int64_t rows = extent_of(config, t.rows), cols = extent_of(config, t.cols);
      bool is_matrix = row.kind == WeightRow::Kind::kMatrix;
      table.push_back({.name = weight_name(t, layer),
                       .shape = is_matrix ? Shape{rows, cols} : Shape{rows},
                       .rows = t.rows,
                       .cols = t.cols});
      if (row.has_bias)
        table.push_back({.name = bias_name(t, layer), .shape = {rows}, .rows = t.rows});
    }
  });
  return table;
}

int64_t ModelConfig::layer_weights() const {
  int64_t elements = 0;
  for (const WeightRow& row : family->layer)
    if (row.kind == WeightRow::Kind::kMatrix)
      for (const FileTensor& t : row.pieces())
        elements += extent_of(*this, t.rows) * extent_of(*this, t.cols);
  return elements;
}

int64_t ModelConfig::num_parameters() const {
  int64_t n = 0;
  for (const WeightInfo& weight : weight_table(*this)) n += weight.shape.numel();
  return n;
}

}  // namespace ll
