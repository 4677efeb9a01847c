#pragma once
// The matrices a step multiplies with: this rank's own, or those of all merged columns.
#include <vector>

#include "model/shard/decoder_weights.h"

namespace ll {

struct ColumnWeights {
  Weight qkv;
  TensorView qkv_bias;
  Weight o, gate_up, down;
};

using LayerView = std::vector<ColumnWeights>;  // one entry a column

inline ColumnWeights own_column(const DecoderLayer& layer) {
  return {layer.qkv.weight, layer.qkv_bias, layer.o.weight, layer.gate_up.weight,
          layer.down.weight};
}

}  // namespace ll
