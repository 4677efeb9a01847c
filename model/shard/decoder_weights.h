#pragma once
// A rank's weights on its device. Fused as the ops want them: q, k and v rows stacked, gate and up
// rows alternating, and in the heads of q and k the rows that RoPE turns together side by side.
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "kernels/backend.h"
#include "model/files/weight_store.h"
#include "model/shard/model_shard.h"

namespace ll {

struct PackedWeight {
  Tensor storage;
  Weight weight;
};

struct DecoderLayer {
  Tensor input_norm;           // [E]
  PackedWeight qkv;            // (H + 2 KH) D x E
  Tensor qkv_bias;             // [(H + 2 KH) D]
  PackedWeight o;              // E x H D
  Tensor post_attention_norm;  // [E]
  PackedWeight gate_up;        // 2 F x E
  PackedWeight down;           // E x F
};

struct DecoderWeights {
  PackedWeight embed;    // V x E
  PackedWeight lm_head;  // V x E; the same memory as embed when tied
  Tensor final_norm;     // [E]
  std::vector<DecoderLayer> layers;
  DType dtype = DType::bf16;
};

// One matrix or vector on the device, and the blocks of the file's tensors it is made of.
struct WeightPlacement {
  struct Block {
    std::string name;  // Hugging Face's
    ShardSpec part;
    int64_t turned = 0;  // rows of a head of q or k: stored as row 0, D/2, 1, D/2 + 1 and so on
  };
  std::vector<Block> blocks;  // stacked by rows, or alternating row by row
  bool alternate = false;
  bool is_matrix = true;
  int64_t rows = 0, cols = 0;
};

// Everything this rank holds: the sharding, as data.
struct WeightPlacements {
  struct Layer {
    WeightPlacement input_norm, qkv, qkv_bias, o, post_attention_norm, gate_up, down;
  };
  WeightPlacement embed, lm_head, final_norm;  // lm_head has no blocks when tied
  std::vector<Layer> layers;
};
WeightPlacements weight_placements(const ModelConfig& config, const ModelShard& shard);

// Device bytes of the weights, before anything is allocated.
size_t weight_bytes(const WeightPlacements& placements, const Ops& ops, DType dtype);

// What `dtype: auto` means: the file's, float16 as bfloat16.
DType model_dtype(DType stored);

// Reads this rank's part with `num_threads` readers. `progress`, if given, is called with bytes
// read so far and in all.
using LoadProgress = std::function<void(size_t done, size_t total)>;
DecoderWeights load_weights(const WeightStore& store, const ModelShard& shard, DType dtype,
                            const Backend& backend, Stream stream, int num_threads,
                            const LoadProgress& progress);

// Random weights that depend on the seed and the element only (load_format: dummy): any grid gives
// the same model.
DecoderWeights random_weights(const ModelConfig& config, const ModelShard& shard, DType dtype,
                              const Backend& backend, Stream stream, uint64_t seed);

}  // namespace ll
