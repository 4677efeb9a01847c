#pragma once
// Qwen2 [Yang et al. 2024]: pre-norm decoder layers of grouped-query attention with biased q, k, v,
// and SwiGLU.
#include <functional>
#include <memory>
#include <optional>

#include "kernels/backend.h"
#include "model/decoder/activations.h"
#include "model/decoder/gathered_weights.h"
#include "model/decoder/kv_cache.h"
#include "model/decoder/layer_view.h"
#include "model/shard/decoder_weights.h"
#include "model/shard/model_shard.h"
#include "parallel/process_grid.h"

namespace ll {

// The device-resident input of one step.
struct StepInputs {
  BatchView batch;
  const int32_t* ids = nullptr;          // [num_tokens]; ~slot: that slot's last token
  const int32_t* last_tokens = nullptr;  // [num_slots]
  bool gathered = false;                 // run in gathered mode (the grid's z > 1)
  size_t most_layers = SIZE_MAX;         // fewer than all: to measure them
};

// Sees the residual stream before layer `layer`, and after the last one as layer num_layers:
// [num_tokens, hidden].
using ResidualObserver = std::function<void(int64_t layer, TensorView residual)>;

class Decoder {
 public:
  // `max_tokens`: rows a step may have; `num_positions`: positions a sequence may have. Activations
  // are allocated here, never in a step.
  Decoder(const ModelConfig& config, const ModelShard& shard, DecoderWeights weights,
          const Backend& backend, const ProcessGrid& grid, int64_t max_tokens,
          int64_t num_positions);

  const ModelConfig& config() const { return config_; }
  const ModelShard& shard() const { return shard_; }
  DType dtype() const { return weights_.dtype; }

  // Runs all layers and writes this step's keys and values to `kv`. Returns this rank's columns of
  // the final hidden states [num_tokens, E], normalised, valid until the next call. Collective over
  // the grid's replica.
  TensorView forward(Stream stream, const StepInputs& inputs, const KvCache& kv);

  // The whole step of one decode row in one kernel, where the backend has one for this model on one
  // rank.
  void prepare_decode_one(const KvCache& kv);
  bool can_decode_one(int32_t position) const {
    return decode_one_ && position < decode_one_positions_;
  }
  void decode_one(Stream stream, const StepInputs& inputs, TensorView logits);

  // This rank's logits of normalised hidden rows [R, E], R up to max_tokens: out [R, V] float32.
  // Collective over the ranks that hold the rows' other columns.
  void logits(Stream stream, TensorView hidden, TensorView out) const;

  // Does a layer's products, and `logits`' of as many rows as it has, for a batch of rows of which
  // only the places in the KV cache matter: what backends measure once for a number of rows is then
  // done. Collective over the grid's replica.
  void do_products(Stream stream, const BatchView& batch, const KvCache& kv, TensorView logits);

  // Gives the weights away, for another grid; no step can run after it.
  DecoderWeights release_weights() { return std::move(weights_); }

  void observe(ResidualObserver observer) { observer_ = std::move(observer); }

  // Device bytes of the activations and tables the constructor allocates.
  static size_t activation_bytes(const ModelConfig& config, const ModelShard& shard, DType dtype,
                                 int64_t max_tokens, int64_t num_positions);

 private:
  // The rows of a step, and which of them this rank computes outside attention: in gathered mode
  // `mine` of a block of `block`, else all. defers: the products that feed a norm do it, and those
  // that follow apply its scale.
  struct Rows {
    int64_t all, block, first, mine;
    bool gathered;
    const BatchView& batch;
    bool defers = false;
  };
  bool defers_norms(int64_t rows) const;
  // Layers are blocks of attention (even numbers) and MLP. What a block's products do of the norms
  // around it: apply the scale that its inputs lack, and do the norm of what it adds up; nothing
  // where norms are ops of their own, as the first and the last one always are.
  struct BlockNorms {
    std::optional<RowSquares> before;
    std::optional<AddRmsNormArgs> after;
  };
  BlockNorms norms_around(size_t block, const Rows& rows) const;
  AddRmsNormArgs norm_after(size_t block, const Rows& rows) const;
  size_t num_blocks() const { return 2 * weights_.layers.size(); }
  // Of the norm after a block; those of a step lie one after the other.
  uint64_t* squares_of(size_t block, const Rows& rows) const;
  static size_t squares_bytes(const Rows& rows);  // of one block
  Rows rows_of(const StepInputs& inputs) const;
  void embed(Stream stream, const StepInputs& inputs, const Rows& rows);
  void attention_block(Stream stream, const LayerView& layer, const Rows& rows, const KvPages& kv,
                       const BlockNorms& norms);
  void mlp_block(Stream stream, const LayerView& layer, const Rows& rows, const BlockNorms& norms);
  // Attention over all positions of all rows, this rank's columns of o_proj.
  void attend(Stream stream, const Rows& rows, const KvPages& kv);
  // out[c], `stride` rows each, = normed times the matrix of column c < columns.
  struct ColumnProduct {
    TensorView out;
    int64_t stride;
    size_t columns;
    WeightPart part;
    Ending ending{};
    const RowSquares* x_squares = nullptr;
  };
  // Queries, keys and values of all rows for this rank's heads: queries turned, the others stored.
  void project_qkv(Stream stream, const LayerView& layer, const Rows& rows, const KvPages& kv,
                   const RowSquares* x_squares);
  void gather_qkv(Stream stream, const LayerView& layer, const Rows& rows, ColumnProduct product);
  void column_products(Stream stream, const LayerView& layer, const Rows& rows,
                       const ColumnProduct& product);
  // partial = sum over the columns c of x[c], `stride` rows each, times c's matrix.
  void row_products(Stream stream, const LayerView& layer, const Rows& rows, TensorView x,
                    int64_t stride, WeightPart part, const AddRmsNormArgs* norm);
  // residual += sum of `partial` over the columns (if any is pending); normed = rms_norm(residual),
  // or all of it but the scale (x > 1).
  void add_and_norm(Stream stream, bool pending, const PackedWeight& weight, const Rows& rows);
  TensorView final_hidden(Stream stream, const Rows& rows);

  ModelConfig config_;
  ModelShard shard_;
  DecoderWeights weights_;
  const Backend& backend_;
  const ProcessGrid& grid_;
  Tensor rope_;  // [num_positions, D] float32
  Activations a_;
  std::vector<LayerView> own_layers_;
  std::unique_ptr<GatheredWeights> gathered_layers_;  // z > 1
  ResidualObserver observer_;
  std::shared_ptr<void> decode_one_;  // FusedDecodeApi's handle
  int64_t decode_one_positions_ = 0;
};

}  // namespace ll
