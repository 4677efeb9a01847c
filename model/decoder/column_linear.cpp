#include "model/decoder/column_linear.h"

namespace ll {

void ColumnLinear::operator()(Stream stream, const LayerView& layer, size_t columns,
                              const NormedStream& x, const ColumnRows& out,
                              const Ending& ending) const {
  if (context_.splits_hidden()) {
    ensure(!ending.rope(), "RoPE follows once the parts of a product are summed");
    return sum_parts(stream, layer, columns, x, out, ending);
  }
  for (size_t c = 0; c < columns; ++c)
    context_.backend.ops.linear(stream, {.out = out.of_column(c, x.rows().mine),
                                         .x = x.normed(),
                                         .weight = layer[c][part_].weight,
                                         .bias = layer[c][part_].bias,
                                         .ending = ending,
                                         .x_squares = x.scale()});
}

// The rows lack their scale until their squares are summed, too: what is not linear comes
// afterwards.
void ColumnLinear::sum_parts(Stream stream, const LayerView& layer, size_t columns,
                             const NormedStream& x, const ColumnRows& out,
                             const Ending& ending) const {
  const Ops& ops = context_.backend.ops;
  int64_t rows = x.rows().mine;
  const Tensor& memory = context_.activations.wide;
  TensorView sums{memory.view().data,
                  memory.view().dtype,
                  {static_cast<int64_t>(columns) * rows, layer[0][part_].weight.rows}};
  ColumnRows parts{.data = sums, .stride = rows};
  for (size_t c = 0; c < columns; ++c)
    ops.linear(stream, {.out = parts.of_column(c, rows),
                        .x = x.normed(),
                        .weight = layer[c][part_].weight,
                        .bias = {}});
  TensorView squares = x.sum_squares();
  context_.grid.x_comm().all_reduce_sum(stream, sums, squares);
  for (size_t c = 0; c < columns; ++c)
    ops.finish_linear(stream, {.out = out.of_column(c, rows),
                               .x = parts.of_column(c, rows),
                               .sum_squares = squares.as<float>(),
                               .width = context_.config.hidden_size,
                               .eps = context_.config.rms_norm_eps,
                               .bias = layer[c][part_].bias,
                               .ending = ending});
}

}  // namespace ll
