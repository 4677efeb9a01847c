#pragma once
// Weights from one grid to another, through the network: nobody reads the file again.
#include "model/shard/decoder_weights.h"
#include "parallel/communicator.h"

namespace ll {

// What this rank holds on grid `to` of a model that lies on grid `from`. Collective over `comm`,
// all ranks of both grids in rank order. Matrix by matrix: `weights` is emptied as the result
// grows.
DecoderWeights reshard_weights(const ModelConfig& config, const GridShape& from,
                               const GridShape& to, DecoderWeights weights, const Backend& backend,
                               Communicator& comm, Stream stream);

}  // namespace ll
