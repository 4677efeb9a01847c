#pragma once
// The matrices a step multiplies with: this rank's own, or those of all merged columns.
#include <vector>

#include "model/shard/decoder_weights.h"

namespace ll {

using ColumnWeights = LayerOf<PartView>;
using LayerView = std::vector<ColumnWeights>;  // one entry a column

inline ColumnWeights own_column(const ModelFamily& family, const DecoderLayer& layer) {
  ColumnWeights column;
  for (const WeightRow& row : family.layer)
    column[row.part] = {layer[row.part].weight, layer[row.part].bias};
  return column;
}

}  // namespace ll
