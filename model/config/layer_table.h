#pragma once
// The tensors of a model as data: what stands in a layer, by which Hugging Face names, cut by a
// grid in which way, packed how. The one table that conversion, loading, sharding, gathering, the
// memory budget and the planner walk; a family of models is rows of it. Missing, extra and
// misshapen tensors are errors that name the tensor.
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kernels/layer_parts.h"
#include "model/config/model_config.h"

namespace ll {

// What a side of a tensor runs over, and with it how a grid cuts that side (range_of in
// model/shard/model_shard.h).
enum class Axis : uint8_t {
  kOne,          // a vector's other side
  kHidden,       // the residual stream: x ranks have a part each
  kWholeHidden,  // the same, whole on every rank
  kQueries,      // query heads
  kKeys,         // KV heads: shared by ranks where there are fewer heads than ranks
  kAttention,    // what the query heads put out
  kFfn,
  kVocab,
};
int64_t extent_of(const ModelConfig& config, Axis axis);

// A tensor of the file.
struct FileTensor {
  const char* name = nullptr;  // Hugging Face's, without the layer before it and ".weight" behind
  Axis rows = Axis::kOne, cols = Axis::kOne;
  bool is_turned = false;  // the rows of a head are put in the order in which RoPE turns them
};

// One row of the table.
struct WeightRow {
  enum class Kind : uint8_t { kMatrix, kNorm };

  WeightPart part;
  Kind kind = Kind::kMatrix;
  bool has_bias = false;   // each tensor has one, stacked as the tensors are
  bool alternate = false;  // two tensors' rows in turn, else one tensor's rows after the other's
  std::array<FileTensor, 3> tensors{};  // those without a name are none

  std::span<const FileTensor> pieces() const;
  // Whether columns of a grid hold different parts, so that merged columns gather them; and whether
  // those parts are heads, so that columns that share heads hold the same.
  bool is_cut_by_columns() const;
  bool is_cut_by_heads() const;
};

// Models whose layers have the same rows.
struct ModelFamily {
  const char* model_type;  // in config.json
  const char* architecture;
  std::span<const WeightRow> layer;
};
std::span<const ModelFamily* const> model_families();

constexpr int64_t kNoLayer = -1;
const WeightRow& model_row(WeightPart part);

// Calls visit(row, layer) for all the model has, in file order: embedding, layers, final norm, and
// the head unless it is tied. The model's own have kNoLayer.
template <class Visit>
void for_each_row(const ModelConfig& config, Visit&& visit) {
  visit(model_row(WeightPart::kEmbed), kNoLayer);
  for (int64_t layer = 0; layer < config.num_layers; ++layer)
    for (const WeightRow& row : config.family->layer) visit(row, layer);
  visit(model_row(WeightPart::kFinalNorm), kNoLayer);
  if (!config.tie_word_embeddings) visit(model_row(WeightPart::kLmHead), kNoLayer);
}

// "model.layers.0.self_attn.q_proj.weight"
std::string weight_name(const FileTensor& tensor, int64_t layer);
std::string bias_name(const FileTensor& tensor, int64_t layer);

struct WeightInfo {
  std::string name;
  Shape shape;  // [out, in], or [size]
  Axis rows = Axis::kOne, cols = Axis::kOne;
};

// Every tensor of the file.
std::vector<WeightInfo> weight_table(const ModelConfig& config);

}  // namespace ll
