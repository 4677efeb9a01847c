#pragma once
// Grouped-query attention of a layer over the KV pages, from normed rows to what o_proj takes in.
// Heads and KV positions are shared out between the grid's columns as model/shard/model_shard.h
// says; in gathered mode attention keeps to its heads and positions, so rows travel to the columns
// that have theirs, and back.
#include "model/decoder/column_linear.h"
#include "model/decoder/kv_cache.h"

namespace ll {

class SelfAttention {
 public:
  // `angles`: [positions, D], as rope_table makes them; outlives this.
  SelfAttention(const LayerContext& context, const Tensor& angles)
      : context_(context), angles_(angles), qkv_(context, WeightPart::kQkv) {}

  // Once a step: what the layers' attention shares.
  void begin(Stream stream, const BatchView& batch, const PositionSplit& positions) const;

  // This rank's rows, from every column of the layer.
  ColumnRows operator()(Stream stream, const LayerView& layer, const NormedStream& x,
                        const KvPages& kv) const;

  // Its first half: queries, keys and values of all rows for this rank's heads, queries turned, the
  // others turned and stored.
  void project(Stream stream, const LayerView& layer, const NormedStream& x,
               const KvPages& kv) const;

 private:
  void project_and_exchange(Stream stream, const LayerView& layer, const NormedStream& x) const;
  void attend(Stream stream, const StepRows& rows, const KvPages& kv) const;
  void attend_in_parts(Stream stream, const StepRows& rows, const KvPages& kv) const;
  int32_t num_heads() const { return static_cast<int32_t>(context_.shard.heads.size); }
  int32_t num_kv_heads() const { return static_cast<int32_t>(context_.shard.kv_heads.size); }

  const LayerContext& context_;
  const Tensor& angles_;
  ColumnLinear qkv_;
};

}  // namespace ll
