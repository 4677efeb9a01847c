#pragma once
// Walks the placements of a model's weights together with the tensors they describe; for the files
// that fill or move weights.
#include "model/shard/decoder_weights.h"

namespace ll {

// Calls visit(placement, matrix, vector) for each, one of the two being null.
template <class Visit>
void for_each_placement(const WeightPlacements& p, DecoderWeights& w, Visit&& visit) {
  PackedWeight* const no_matrix = nullptr;
  Tensor* const no_vector = nullptr;
  visit(p.embed, &w.embed, no_vector);
  if (!p.lm_head.blocks.empty()) visit(p.lm_head, &w.lm_head, no_vector);
  visit(p.final_norm, no_matrix, &w.final_norm);
  w.layers.resize(p.layers.size());
  for (size_t l = 0; l < p.layers.size(); ++l) {
    const auto& from = p.layers[l];
    DecoderLayer& to = w.layers[l];
    visit(from.input_norm, no_matrix, &to.input_norm);
    visit(from.qkv, &to.qkv, no_vector);
    visit(from.qkv_bias, no_matrix, &to.qkv_bias);
    visit(from.o, &to.o, no_vector);
    visit(from.post_attention_norm, no_matrix, &to.post_attention_norm);
    visit(from.gate_up, &to.gate_up, no_vector);
    visit(from.down, &to.down, no_vector);
  }
}

// Gives a filled tensor its final form.
inline void adopt(Tensor natural, PackedWeight* matrix, Tensor* vector, const Backend& backend,
                  Stream stream) {
  if (matrix)
    matrix->weight = backend.ops.pack_weight(stream, natural, matrix->storage);
  else
    *vector = std::move(natural);
}

inline Tensor natural_tensor(const WeightPlacement& p, DType dtype, const Backend& backend) {
  return p.is_matrix ? Tensor(backend.device, dtype, {p.rows, p.cols})
                     : Tensor(backend.device, dtype, {p.rows});
}

// A tied head is the embedding.
inline void tie(DecoderWeights& w, const WeightPlacements& p) {
  if (p.lm_head.blocks.empty()) w.lm_head = w.embed;
}

}  // namespace ll
