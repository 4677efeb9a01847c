#include "model/decoder/gathered_weights.h"

namespace ll {
namespace {

bool gathers_matrix(const WeightRow& row, bool shares_heads) {
  return row.is_cut_by_columns() && !(shares_heads && row.is_cut_by_heads());
}

}  // namespace

GatheredWeights::GatheredWeights(const Backend& backend, Communicator& comm,
                                 const ModelFamily& family, const DecoderWeights& own,
                                 bool shares_heads)
    : backend_(backend),
      comm_(comm),
      family_(family),
      own_(own),
      side_(backend.device.create_side_stream()) {
  int64_t bytes = 0;
  for (const WeightRow& row : family.layer) {
    if (row.has_bias && row.is_cut_by_columns()) gather_biases(row.part);
    if (!gathers_matrix(row, shares_heads)) continue;
    matrices_.push_back(row.part);
    bytes += static_cast<int64_t>(own.layers.front()[row.part].weight.data.bytes());
  }
  auto z = static_cast<int64_t>(comm.size());
  for (Buffer& b : buffers_) {
    b.memory = Tensor(backend.device, DType::u8, {z * bytes});
    b.columns.resize(static_cast<size_t>(z));
    b.filled = backend.device.create_event();
    b.free = backend.device.create_event();
  }
  backend.device.synchronize(side_);
}

GatheredWeights::~GatheredWeights() {
  for (Buffer& b : buffers_) {
    backend_.device.destroy_event(b.filled);
    backend_.device.destroy_event(b.free);
  }
  backend_.device.destroy_stream(side_);
}

void GatheredWeights::gather_biases(WeightPart part) {
  auto layers = static_cast<int64_t>(own_.layers.size());
  int64_t width = own_.layers.front()[part].bias.view().numel();
  biases_[part] = Tensor(backend_.device, own_.dtype, {layers, comm_.size(), width});
  for (int64_t l = 0; l < layers; ++l) {
    TensorView bias = own_.layers[static_cast<size_t>(l)][part].bias;
    comm_.all_gather(side_, bias.data, biases_[part].view().rows(l, 1).data, bias.bytes());
  }
}

void GatheredWeights::begin(Stream stream) {
  for (Buffer& b : buffers_) backend_.device.record(b.free, stream);
  gather(0);
}

const LayerView& GatheredWeights::layer(Stream stream, size_t l) {
  if (l > 0) backend_.device.record(buffers_[(l - 1) % 2].free, stream);
  if (l + 1 < own_.layers.size()) gather(l + 1);
  Buffer& b = buffers_[l % 2];
  backend_.device.wait_stream(stream, b.filled);
  return b.columns;
}

void GatheredWeights::gather(size_t l) {
  Buffer& b = buffers_[l % 2];
  backend_.device.wait_stream(side_, b.free);
  ColumnWeights own = own_column(family_, own_.layers[l]);
  for (size_t k = 0; k < b.columns.size(); ++k) {
    b.columns[k] = own;
    for (const WeightRow& row : family_.layer) {
      if (!biases_[row.part]) continue;
      TensorView biases = biases_[row.part].view().rows(static_cast<int64_t>(l), 1);
      int64_t width = biases.dim(2);
      b.columns[k][row.part].bias = biases.reshaped({biases.dim(1), width})
                                        .rows(static_cast<int64_t>(k), 1)
                                        .reshaped({width});
    }
  }
  auto* to = static_cast<std::byte*>(b.memory.view().data);
  for (WeightPart part : matrices_) {
    TensorView matrix = own[part].weight.data;
    comm_.all_gather(side_, matrix.data, to, matrix.bytes());
    for (ColumnWeights& column : b.columns) {
      column[part].weight.data.data = to;
      to += matrix.bytes();
    }
  }
  backend_.device.record(b.filled, side_);
}

size_t GatheredWeights::bytes(const WeightPlacements& placements, PackedBytes packed_bytes,
                              DType dtype, int columns, bool shares_heads) {
  if (columns == 1) return 0;
  size_t matrices = 0, biases = 0;
  for (const WeightPlacement& p : placements) {
    if (p.layer == kNoLayer || !p.row->is_cut_by_columns()) continue;
    if (p.is_bias) biases += p.bytes(packed_bytes, dtype);
    if (p.layer == 0 && p.is_matrix() && gathers_matrix(*p.row, shares_heads))
      matrices += p.bytes(packed_bytes, dtype);
  }
  return static_cast<size_t>(columns) * (2 * matrices + biases);
}

}  // namespace ll
