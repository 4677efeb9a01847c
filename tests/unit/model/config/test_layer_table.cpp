#include "model/config/layer_table.h"

#include <doctest/doctest.h>

#include <set>

#include "tests/support/tiny_config.h"

using namespace ll;
using namespace ll::test;

TEST_CASE("layer table: the tensors of a file in their order, a bias behind its matrix") {
  ModelConfig config = tiny_config(4, 2, /*tied=*/false);
  auto table = weight_table(config);
  REQUIRE(table.size() == static_cast<size_t>(1 + 12 * config.num_layers + 2));
  CHECK(table[0].name == "model.embed_tokens.weight");
  CHECK(table[0].shape == Shape{config.vocab_size, config.hidden_size});
  std::string layer = "model.layers.0.";
  std::vector<std::pair<std::string, Shape>> want{
      {"input_layernorm.weight", {config.hidden_size}},
      {"self_attn.q_proj.weight", {config.q_size(), config.hidden_size}},
      {"self_attn.q_proj.bias", {config.q_size()}},
      {"self_attn.k_proj.weight", {config.kv_size(), config.hidden_size}},
      {"self_attn.k_proj.bias", {config.kv_size()}},
      {"self_attn.v_proj.weight", {config.kv_size(), config.hidden_size}},
      {"self_attn.v_proj.bias", {config.kv_size()}},
      {"self_attn.o_proj.weight", {config.hidden_size, config.q_size()}},
      {"post_attention_layernorm.weight", {config.hidden_size}},
      {"mlp.gate_proj.weight", {config.intermediate_size, config.hidden_size}},
      {"mlp.up_proj.weight", {config.intermediate_size, config.hidden_size}},
      {"mlp.down_proj.weight", {config.hidden_size, config.intermediate_size}}};
  for (size_t i = 0; i < want.size(); ++i) {
    CHECK(table[1 + i].name == layer + want[i].first);
    CHECK(table[1 + i].shape == want[i].second);
  }
  CHECK(table[table.size() - 2].name == "model.norm.weight");
  CHECK(table.back().name == "lm_head.weight");
  config.tie_word_embeddings = true;
  CHECK(weight_table(config).back().name == "model.norm.weight");
}

TEST_CASE("layer table: each part of a layer stands in one row at most, and is a layer's") {
  for (const ModelFamily* family : model_families()) {
    std::set<WeightPart> seen;
    for (const WeightRow& row : family->layer) {
      CHECK(static_cast<size_t>(row.part) < kNumLayerParts);
      CHECK(seen.insert(row.part).second);
      REQUIRE(!row.pieces().empty());
      if (row.kind == WeightRow::Kind::kNorm) CHECK(!row.has_bias);
      if (row.alternate) CHECK(row.pieces().size() == 2);  // readers and resharding take turns
      for (const FileTensor& t : row.pieces()) CHECK(t.cols == row.tensors[0].cols);
    }
  }
}

TEST_CASE("layer table: columns of a grid cut all matrices, and heads those of q, k and v") {
  for (const WeightRow& row : kQwen2.layer) {
    CHECK(row.is_cut_by_columns() == (row.kind == WeightRow::Kind::kMatrix));
    CHECK(row.is_cut_by_heads() == (row.part == WeightPart::kQkv));
  }
}

TEST_CASE("layer table: elements of a layer's matrices") {
  ModelConfig c = tiny_config(6, 2, true);
  CHECK(c.layer_weights() ==
        c.hidden_size * (2 * c.q_size() + 2 * c.kv_size() + 3 * c.intermediate_size));
}
