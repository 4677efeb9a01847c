#include "runtime/planning/rank_sizes.h"

#include "model/shard/model_shard.h"

namespace ll {

int64_t RankSizes::layer_elements() const {
  int64_t elements = 0;
  for (const Matrix& m : matrices) elements += m.elements;
  return elements;
}

double RankSizes::weight_bytes() const {
  return static_cast<double>((layers * layer_elements() + head_elements()) * element_bytes);
}

double RankSizes::kv_bytes() const {
  return static_cast<double>(2 * layers * kv_heads * head_dim * element_bytes);
}

double RankSizes::flops_per_row() const {
  return 2 * static_cast<double>(layers * layer_elements());
}

double RankSizes::flops_per_sample() const { return 2 * static_cast<double>(head_elements()); }

double RankSizes::flops_per_pair() const {
  return 4 * static_cast<double>(layers * heads * head_dim);
}

RankSizes rank_sizes(const ModelConfig& c, const GridShape& grid, DType dtype) {
  ModelShard s = shard_of(c, grid, {});
  std::vector<RankSizes::Matrix> matrices;
  for (const WeightRow& row : c.family->layer)
    if (row.kind == WeightRow::Kind::kMatrix)
      matrices.push_back({elements_of(c, s, row), s.merged_share_heads() && row.is_cut_by_heads()});
  return {.layers = c.num_layers,
          .hidden = c.hidden_size,
          .matrices = std::move(matrices),
          .hidden_part = s.hidden.size,
          .qkv = s.qkv_rows(c),
          .slice = s.attention.size,
          .ffn = s.ffn.size,
          .vocab = s.vocab.size,
          .heads = s.heads.size,
          .kv_heads = s.kv_heads.size,
          .head_dim = c.head_dim,
          .element_bytes = static_cast<int64_t>(size_of(dtype)),
          .merged_share_heads = s.merged_share_heads()};
}

}  // namespace ll
