#pragma once
// Qwen2 [Yang et al. 2024]: pre-norm decoder layers of grouped-query attention with biased q, k, v,
// and SwiGLU.
#include <functional>
#include <memory>

#include "kernels/backend.h"
#include "model/kv_cache.h"
#include "model/model_shard.h"
#include "model/qwen2_weights.h"
#include "parallel/process_grid.h"

namespace ll {

// The device-resident input of one step.
struct StepInputs {
  BatchView batch;
  const int32_t* ids = nullptr;          // [num_tokens]; ~slot: that slot's last token
  const int32_t* last_tokens = nullptr;  // [num_slots]
};

// Sees the residual stream before layer `layer`, and after the last one as layer num_layers:
// [num_tokens, hidden].
using ResidualObserver = std::function<void(int64_t layer, TensorView residual)>;

class Qwen2Model {
 public:
  // `max_tokens`: rows a step may have; `num_positions`: positions a sequence may have. Activations
  // are allocated here, never in a step.
  Qwen2Model(const ModelConfig& config, const ModelShard& shard, Qwen2Weights weights,
             const Backend& backend, const ProcessGrid& grid, int64_t max_tokens,
             int64_t num_positions);

  const ModelConfig& config() const { return config_; }
  const ModelShard& shard() const { return shard_; }
  DType dtype() const { return weights_.dtype; }

  // Runs all layers and writes this step's keys and values to `kv`. Returns the final hidden states
  // [num_tokens, E], normalised, valid until the next call. Collective over the grid's replica.
  TensorView forward(Stream stream, const StepInputs& inputs, const KvCache& kv);

  // The whole step of one decode row in one kernel, where the backend has one for this model on one rank.
  void prepare_decode_one(const KvCache& kv);
  bool can_decode_one(int32_t position) const { return decode_one_ && position < decode_one_positions_; }
  void decode_one(Stream stream, const StepInputs& inputs, TensorView logits);

  // This rank's logits of normalised hidden rows [R, E]: out [R, V] float32.
  void logits(Stream stream, TensorView hidden, TensorView out) const;

  void observe(ResidualObserver observer) { observer_ = std::move(observer); }

  // Device bytes of the activations and tables the constructor allocates.
  static size_t activation_bytes(const ModelConfig& config, const ModelShard& shard, DType dtype,
                                 int64_t max_tokens, int64_t num_positions);

 private:
  struct Activations {
    Tensor residual, normed, partial;  // [max_tokens, E]
    Tensor qkv;                        // [max_tokens, (H + 2 KH) D]
    Tensor attention;                  // [max_tokens, H D]
    Tensor act;                        // [max_tokens, F]
  };
  void attention_block(Stream stream, const Qwen2Layer& layer, const BatchView& batch,
                       const KvPages& kv);
  void mlp_block(Stream stream, const Qwen2Layer& layer, int64_t rows);
  // residual += sum of `partial` over the columns (if any is pending); normed = rms_norm(residual).
  void add_and_norm(Stream stream, bool pending, const Tensor& weight, int64_t rows, Prefetch next);

  ModelConfig config_;
  ModelShard shard_;
  Qwen2Weights weights_;
  const Backend& backend_;
  const ProcessGrid& grid_;
  Tensor rope_;  // [num_positions, D] float32
  Activations a_;
  ResidualObserver observer_;
  std::shared_ptr<void> decode_one_;  // FusedDecodeApi's handle
  int64_t decode_one_positions_ = 0;
};

}  // namespace ll
