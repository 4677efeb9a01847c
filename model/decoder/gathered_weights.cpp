#include "model/decoder/gathered_weights.h"

namespace ll {
namespace {

// The matrices of a layer that are gathered.
std::vector<Weight ColumnWeights::*> gathered_matrices(bool shares_heads) {
  using C = ColumnWeights;
  if (shares_heads) return {&C::o, &C::gate_up, &C::down};
  return {&C::qkv, &C::o, &C::gate_up, &C::down};
}

}  // namespace

GatheredWeights::GatheredWeights(const Backend& backend, Communicator& comm,
                                 const DecoderWeights& own, bool shares_heads)
    : backend_(backend),
      comm_(comm),
      own_(own),
      shares_heads_(shares_heads),
      side_(backend.device.create_stream()) {
  auto z = static_cast<int64_t>(comm.size());
  auto layers = static_cast<int64_t>(own.layers.size());
  int64_t width = own.layers.front().qkv_bias.view().numel();
  biases_ = Tensor(backend.device, own.dtype, {layers, z, width});
  for (int64_t l = 0; l < layers; ++l) {
    TensorView bias = own.layers[static_cast<size_t>(l)].qkv_bias;
    comm.all_gather(side_, bias.data, biases_.view().rows(l, 1).data, bias.bytes());
  }
  ColumnWeights first = own_column(own.layers.front());
  int64_t bytes = 0;
  for (auto matrix : gathered_matrices(shares_heads))
    bytes += static_cast<int64_t>((first.*matrix).data.bytes());
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
  ColumnWeights own = own_column(own_.layers[l]);
  auto z = static_cast<size_t>(comm_.size());
  for (size_t k = 0; k < z; ++k) {
    b.columns[k] = own;
    TensorView biases = biases_.view().rows(static_cast<int64_t>(l), 1);
    int64_t width = biases.dim(2);
    b.columns[k].qkv_bias =
        biases.reshaped({biases.dim(1), width}).rows(static_cast<int64_t>(k), 1).reshaped({width});
  }
  auto* to = static_cast<std::byte*>(b.memory.view().data);
  for (auto matrix : gathered_matrices(shares_heads_)) {
    size_t bytes = (own.*matrix).data.bytes();
    comm_.all_gather(side_, (own.*matrix).data.data, to, bytes);
    for (ColumnWeights& column : b.columns) {
      (column.*matrix).data.data = to;
      to += bytes;
    }
  }
  backend_.device.record(b.filled, side_);
}

size_t GatheredWeights::bytes(const WeightPlacements& placements, const Ops& ops, DType dtype,
                              int columns, bool shares_heads) {
  if (columns == 1) return 0;
  auto z = static_cast<size_t>(columns);
  const auto& layer = placements.layers.front();
  auto packed = [&](const WeightPlacement& p) { return ops.packed_bytes(p.rows, p.cols, dtype); };
  size_t matrices = packed(layer.o) + packed(layer.gate_up) + packed(layer.down);
  if (!shares_heads) matrices += packed(layer.qkv);
  auto biases = placements.layers.size() * static_cast<size_t>(layer.qkv_bias.rows);
  return z * (2 * matrices + biases * size_of(dtype));
}

}  // namespace ll
