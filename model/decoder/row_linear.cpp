#include "model/decoder/row_linear.h"

namespace ll {

void RowLinear::operator()(Stream stream, const LayerView& layer, const ColumnRows& input,
                           NormedStream& x) const {
  const Ops& ops = context_.backend.ops;
  int64_t rows = x.rows().mine;
  TensorView sum = x.addend();
  const AddRmsNormArgs* norm = x.norm_of_product();
  ops.linear(stream, {.out = sum,
                      .x = input.of_column(0, rows),
                      .weight = layer[0][part_].weight,
                      .bias = {},
                      .ending = norm ? Ending::add_rms_norm(*norm) : Ending()});
  for (size_t c = 1; c < layer.size(); ++c) {
    TensorView more = context_.activations.addend.view().rows(0, rows);
    ops.linear(
        stream,
        {.out = more, .x = input.of_column(c, rows), .weight = layer[c][part_].weight, .bias = {}});
    ops.add(stream, sum, more);
  }
}

}  // namespace ll
