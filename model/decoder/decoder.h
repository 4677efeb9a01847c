#pragma once
// The decoder of Qwen2 [Yang et al. 2024] and its relatives: pre-norm layers of grouped-query
// attention and SwiGLU. Which weights a layer has says model/config/layer_table.h.
#include <functional>
#include <memory>
#include <vector>

#include "kernels/backend.h"
#include "model/decoder/activations.h"
#include "model/decoder/column_linear.h"
#include "model/decoder/decode_one.h"
#include "model/decoder/gathered_weights.h"
#include "model/decoder/kv_cache.h"
#include "model/decoder/layer_view.h"
#include "model/decoder/normed_stream.h"
#include "model/decoder/row_linear.h"
#include "model/decoder/self_attention.h"
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
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  const ModelConfig& config() const { return config_; }
  const ModelShard& shard() const { return shard_; }
  DType dtype() const { return weights_.dtype; }

  // Runs all layers and writes this step's keys and values to `kv`. Returns this rank's columns of
  // the final hidden states [num_tokens, E], normalised, valid until the next call. Collective over
  // the grid's replica.
  TensorView forward(Stream stream, const StepInputs& inputs, const KvCache& kv);

  // What forward() consists of, for those who measure it: a step's beginning, its layers in their
  // order, and its end, which may come after any layer.
  void begin(Stream stream, const StepInputs& inputs, const KvCache& kv);
  void layer(Stream stream, size_t index, const KvCache& kv);
  TensorView finish(Stream stream);
  // The products of a step alone, for those who measure them: the beginning of a step whose
  // residual and attention are random numbers, its layers without attention over positions, in
  // their order, and the rows the last norm left. `may_defer` and the result: whether norms are
  // deferred.
  bool begin_products(Stream stream, const BatchView& batch, bool may_defer);
  void layer_products(Stream stream, size_t index, const KvCache& kv);
  TensorView normed() const { return parts_.x.normed(); }

  // The whole step of one decode row in one kernel, where the backend has one for this model on so
  // many ranks. prepare_decode_one() is collective over the replica, as a step is.
  void prepare_decode_one(const KvCache& kv);
  bool can_decode_one(int32_t position) const { return decode_one_ && decode_one_->can(position); }
  void forget_decode_one() { decode_one_.reset(); }
  void decode_one(Stream stream, const StepInputs& inputs, TensorView logits);

  // This rank's logits of normalised hidden rows [R, E], R up to max_tokens: out [R, V] float32.
  // Collective over the ranks that hold the rows' other columns.
  void logits(Stream stream, TensorView hidden, TensorView out) const;

  // Gives the weights away, for another grid; no step can run after it.
  DecoderWeights release_weights() { return std::move(weights_); }

  void observe(ResidualObserver observer) { observer_ = std::move(observer); }

  // Device bytes of the activations and tables the constructor allocates.
  static size_t activation_bytes(const ModelPart& part, int64_t max_tokens, int64_t num_positions);

 private:
  // What a layer consists of; one set does all layers.
  struct Parts {
    NormedStream x;
    SelfAttention attention;
    RowLinear attention_out;
    ColumnLinear gate_up;
    RowLinear down;
  };

  StepRows rows_of(const BatchView& batch, bool gathered) const;
  ColumnRows own_attention() const {
    return {.data = a_.attention, .stride = parts_.x.rows().mine};
  }
  void finish_layer(Stream stream, size_t index, const LayerView& layer, const ColumnRows& heads);
  void embed(Stream stream, const StepInputs& inputs, const StepRows& rows);
  const LayerView& layer_view(Stream stream, size_t index);
  void show_residual(size_t layer) const;
  TensorView whole_rows(Stream stream, TensorView hidden) const;

  ModelConfig config_;
  ModelShard shard_;
  DecoderWeights weights_;
  const Backend& backend_;
  const ProcessGrid& grid_;
  Tensor angles_;  // [num_positions, D] float32
  Activations a_;
  LayerContext context_;
  Parts parts_;
  std::vector<LayerView> own_layers_;
  std::unique_ptr<GatheredWeights> gathered_layers_;  // z > 1
  std::unique_ptr<DecodeOne> decode_one_;
  ResidualObserver observer_;
};

}  // namespace ll
