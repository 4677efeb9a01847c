#pragma once
// The residual stream and the norms of it: two a layer, and the last one. A norm sums over the
// grid's columns what the product before it has put out, adds it to the residual and normalises.
//
// Few rows of a rank alone have most of their norms deferred: the product before a norm does it but
// for the scale, and the product behind it applies the scale (LinearArgs::norm and x_squares).
#include <optional>
#include <vector>

#include "model/decoder/layer_context.h"
#include "model/decoder/step_rows.h"
#include "model/shard/decoder_weights.h"

namespace ll {

class NormedStream {
 public:
  NormedStream(const LayerContext& context, const DecoderWeights& weights);

  // A step whose residual is there. Norms come in their order. `may_defer`: where it is faster.
  void begin(Stream stream, const StepRows& rows, bool may_defer = true);
  const StepRows& rows() const { return rows_; }
  bool defers() const { return defers_; }

  // Norm 2 l stands before the attention of layer l, 2 l + 1 before its MLP; num_norms() - 1 is the
  // last one.
  void norm(Stream stream, size_t index);
  size_t num_norms() const { return norms_.size(); }

  // This rank's rows and columns [mine, E].
  TensorView residual() const { return mine(context_.activations.residual); }
  TensorView normed() const { return mine(context_.activations.normed); }
  // What the normed rows lack: the scale of a deferred norm, or nothing. Where x ranks have a part
  // of each row, all lack their scale: the squares of the parts are in sum_squares().
  const RowSquares* scale() const { return scale_ ? &*scale_ : nullptr; }
  TensorView sum_squares() const { return mine(context_.activations.sum_squares); }

  // Where a product that is to be added to the stream goes [mine, E], and the norm that it is to do
  // itself; null: the next norm adds it.
  TensorView addend() const { return mine(context_.activations.partial); }
  const AddRmsNormArgs* norm_of_product();

  // The rows of all ranks that share them, normed and scaled [all, E].
  TensorView finish(Stream stream);

 private:
  TensorView mine(const Tensor& t) const { return t.view().rows(0, rows_.mine); }
  bool is_deferred(size_t index) const;
  uint64_t* squares_of(size_t index) const;
  size_t squares_bytes() const;  // of one norm

  const LayerContext& context_;
  std::vector<TensorView> norms_;  // [E] each
  StepRows rows_;
  bool defers_ = false;
  size_t current_ = 0;
  std::optional<RowSquares> scale_;
  AddRmsNormArgs next_{};
};

}  // namespace ll
