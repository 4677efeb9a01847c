#include "model/decoder/normed_stream.h"

namespace ll {
namespace {

bool defers_norms(const LayerContext& c, int64_t rows) {
  return c.backend.defers_norms && c.activations.row_squares && rows <= kMostDeferredRows;
}

}  // namespace

NormedStream::NormedStream(const LayerContext& context, const DecoderWeights& weights)
    : context_(context) {
  for (const DecoderLayer& layer : weights.layers)
    for (WeightPart part : {WeightPart::kInputNorm, WeightPart::kPostAttentionNorm})
      norms_.push_back(layer[part].vector());
  norms_.push_back(weights.final_norm.vector());
}

void NormedStream::begin(Stream stream, const StepRows& rows, bool may_defer) {
  rows_ = rows;
  current_ = 0;
  scale_.reset();
  defers_ = may_defer && !rows.gathered && defers_norms(context_, rows.all);
  if (defers_)
    context_.backend.device.fill(stream, squares_of(0), 0, (num_norms() - 1) * squares_bytes());
}

// The first one has no product before it, and the last one none behind it.
bool NormedStream::is_deferred(size_t index) const {
  return defers_ && index > 0 && index + 1 < num_norms();
}

size_t NormedStream::squares_bytes() const {
  return static_cast<size_t>(rows_.all * kSquaresStride) * sizeof(uint64_t);
}

// Those of a step lie one after the other.
uint64_t* NormedStream::squares_of(size_t index) const {
  auto* all = static_cast<uint64_t*>(context_.activations.row_squares.view().data);
  return all + static_cast<int64_t>(index) * rows_.all * kSquaresStride;
}

void NormedStream::norm(Stream stream, size_t index) {
  float eps = context_.config.rms_norm_eps;
  current_ = index;
  scale_.reset();
  if (is_deferred(index)) {
    scale_ = RowSquares{squares_of(index), eps};
    return;
  }
  const ProcessGrid& grid = context_.grid;
  Communicator& columns = rows_.gathered ? grid.gathered_y_comm() : grid.y_comm();
  float* squares = context_.splits_hidden() ? sum_squares().as<float>() : nullptr;
  columns.all_reduce_add_rms_norm(stream, {.out = normed(),
                                           .residual = residual(),
                                           .delta = index > 0 ? addend() : TensorView{},
                                           .weight = norms_[index],
                                           .eps = eps,
                                           .sum_squares = squares});
}

const AddRmsNormArgs* NormedStream::norm_of_product() {
  size_t index = current_ + 1;
  if (!is_deferred(index)) return nullptr;
  next_ = {.out = normed(),
           .residual = residual(),
           .delta = {},
           .weight = norms_[index],
           .eps = context_.config.rms_norm_eps,
           .row_squares = squares_of(index)};
  return &next_;
}

TensorView NormedStream::finish(Stream stream) {
  Activations& a = context_.activations;
  const ProcessGrid& grid = context_.grid;
  TensorView own = normed();
  if (context_.splits_hidden()) {
    TensorView squares = sum_squares();
    grid.x_comm().all_reduce_sum(stream, squares);
    context_.backend.ops.finish_linear(stream, {.out = own,
                                                .x = own,
                                                .sum_squares = squares.as<float>(),
                                                .width = context_.config.hidden_size,
                                                .eps = context_.config.rms_norm_eps,
                                                .bias = {}});
  }
  if (!rows_.gathered) return own;
  grid.z_comm().all_gather(stream, own.data, a.hidden.view().data,
                           a.normed.view().rows(0, rows_.share).bytes());
  return a.hidden.view().rows(0, rows_.all);
}

}  // namespace ll
