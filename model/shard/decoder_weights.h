#pragma once
// A rank's weights on its device. Fused as the ops want them: q, k and v rows stacked, gate and up
// rows alternating, and in the heads of q and k the rows that RoPE turns together side by side.
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "kernels/backend.h"
#include "model/config/layer_table.h"
#include "model/files/weight_store.h"
#include "model/shard/model_shard.h"

namespace ll {

// Device bytes of a matrix: Ops::packed_bytes, or of one that is laid out as in the file.
using PackedBytes = size_t (*)(int64_t rows, int64_t cols, DType dtype);
size_t natural_bytes(int64_t rows, int64_t cols, DType dtype);

// One part of the model.
struct PackedWeight {
  Tensor storage;
  Weight weight;  // of a vector: its elements as they are, in one column
  Tensor bias;    // [rows], where the family has one

  TensorView vector() const { return storage; }
};

using DecoderLayer = LayerOf<PackedWeight>;

struct DecoderWeights {
  PackedWeight embed;       // V x E
  PackedWeight lm_head;     // V x E; the same memory as embed when tied
  PackedWeight final_norm;  // [E]
  std::vector<DecoderLayer> layers;
  DType dtype = DType::bf16;

  PackedWeight& at(WeightPart part, int64_t layer);
};

// One matrix or vector on the device, and the pieces of the file's tensors it is made of.
struct WeightPlacement {
  struct Piece {
    std::string name;  // Hugging Face's
    ShardSpec part;
    int64_t turned = 0;  // rows of a head of q or k: stored as row 0, D/2, 1, D/2 + 1 and so on
  };
  const WeightRow* row = nullptr;
  int64_t layer = kNoLayer;
  bool is_bias = false;  // of the row's matrix
  std::vector<Piece> pieces;
  int64_t rows = 0, cols = 0;

  bool is_matrix() const { return row->kind == WeightRow::Kind::kMatrix && !is_bias; }
  bool alternate() const { return row->alternate; }
  size_t bytes(PackedBytes packed_bytes, DType dtype) const;
};

// Everything this rank holds, in file order: the sharding, as data. On all ranks of a grid, and on
// all grids, the i-th is of the same part of the model.
using WeightPlacements = std::vector<WeightPlacement>;
WeightPlacements weight_placements(const ModelConfig& config, const ModelShard& shard);

// Device bytes of the weights, before anything is allocated.
size_t weight_bytes(const WeightPlacements& placements, PackedBytes packed_bytes, DType dtype);

// What `dtype: auto` means: the file's, float16 as bfloat16.
DType model_dtype(DType stored);

// Reads this rank's part with `num_threads` readers. `progress`, if given, is called with bytes
// read so far and in all. Throws Error where what is read is damaged, unless `verifies` is off.
using LoadProgress = std::function<void(size_t done, size_t total)>;
DecoderWeights load_weights(const WeightStore& store, const ModelShard& shard, DType dtype,
                            const Backend& backend, Stream stream, int num_threads,
                            const LoadProgress& progress, bool verifies = true);

// Random weights that depend on the seed and the element only (load_format: dummy): any grid gives
// the same model.
DecoderWeights random_weights(const ModelConfig& config, const ModelShard& shard, DType dtype,
                              const Backend& backend, Stream stream, uint64_t seed);

// For those who fill weights part by part: none yet; the memory of a part as the file has it; to
// put it in its place, packed, and to take it out again; and what is left to do in the end.
DecoderWeights no_weights(const ModelConfig& config, DType dtype);
Tensor natural_tensor(const WeightPlacement& placement, DType dtype, const DeviceApi& device);
void put_weight(DecoderWeights& weights, const WeightPlacement& placement, Tensor natural,
                const Ops& ops, Stream stream);
Tensor take_weight(DecoderWeights& weights, const WeightPlacement& placement, const Ops& ops,
                   Stream stream);
void tie_head(DecoderWeights& weights, const ModelConfig& config);

}  // namespace ll
