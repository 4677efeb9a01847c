#pragma once
// A product whose inputs the grid's columns share out, added to the stream: o and down. The stream
// sums it over the columns with its next norm; merged columns' products are added here.
#include "model/decoder/layer_view.h"
#include "model/decoder/normed_stream.h"

namespace ll {

class RowLinear {
 public:
  RowLinear(const LayerContext& context, WeightPart part) : context_(context), part_(part) {}

  // x += sum over the layer's columns of input W^T.
  void operator()(Stream stream, const LayerView& layer, const ColumnRows& input,
                  NormedStream& x) const;

 private:
  const LayerContext& context_;
  WeightPart part_;
};

}  // namespace ll
