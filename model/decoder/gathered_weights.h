#pragma once
// Gathered mode: the z columns that are merged collect each other's shards, a layer ahead of the
// layer that runs, into one of two buffers on a stream of their own. A step of many tokens then
// moves weights instead of activations; the shards each rank keeps stay where they are. Biases are
// next to nothing: they are collected once.
#include <array>
#include <vector>

#include "kernels/backend.h"
#include "model/decoder/layer_view.h"
#include "parallel/communicator.h"

namespace ll {

class GatheredWeights {
 public:
  // Collective over `comm`, whose members hold shards of equal sizes. Where `shares_heads`, all of
  // them hold the same heads' q, k and v: those are not gathered.
  GatheredWeights(const Backend& backend, Communicator& comm, const ModelFamily& family,
                  const DecoderWeights& own, bool shares_heads);
  ~GatheredWeights();
  GatheredWeights(const GatheredWeights&) = delete;
  GatheredWeights& operator=(const GatheredWeights&) = delete;

  // Starts a step on `stream`: gathers the first layer.
  void begin(Stream stream);
  // Layer l, once it is there; the next is on its way. Layers come in order, each until the next.
  const LayerView& layer(Stream stream, size_t l);

  // Device bytes that the constructor allocates.
  static size_t bytes(const WeightPlacements& placements, PackedBytes packed_bytes, DType dtype,
                      int columns, bool shares_heads);

 private:
  struct Buffer {
    Tensor memory;
    LayerView columns;
    Event filled, free;
  };
  void gather_biases(WeightPart part);
  void gather(size_t l);

  const Backend& backend_;
  Communicator& comm_;
  const ModelFamily& family_;
  const DecoderWeights& own_;
  std::vector<WeightPart> matrices_;  // of a layer that are gathered
  LayerOf<Tensor> biases_;            // [layers, z, rows]
  Stream side_;
  std::array<Buffer, 2> buffers_;
};

}  // namespace ll
