#pragma once
// A product whose outputs the grid's columns share out, of normed rows: q, k and v, gate and up.
// Merged columns' outputs stand one behind the other. Where x ranks have a part of the inputs each,
// the products are sums over their parts, which a second op finishes.
#include "model/decoder/layer_view.h"
#include "model/decoder/normed_stream.h"

namespace ll {

class ColumnLinear {
 public:
  ColumnLinear(const LayerContext& context, WeightPart part) : context_(context), part_(part) {}

  // out = x W^T + b, for the first `columns` of the layer's; the ending is done once a
  // product is whole. RoPE is none where x ranks have parts.
  void operator()(Stream stream, const LayerView& layer, size_t columns, const NormedStream& x,
                  const ColumnRows& out, const Ending& ending) const;

 private:
  void sum_parts(Stream stream, const LayerView& layer, size_t columns, const NormedStream& x,
                 const ColumnRows& out, const Ending& ending) const;

  const LayerContext& context_;
  WeightPart part_;
};

}  // namespace ll
