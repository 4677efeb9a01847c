#include "model/shard/decoder_weights.h"

#include <utility>

#include "base/hash/hash.h"
#include "model/shard/weight_reader.h"

namespace ll {
namespace {

using Piece = WeightPlacement::Piece;

WeightPlacement placement_of(const ModelConfig& config, const ModelShard& shard,
                             const WeightRow& row, int64_t layer, bool is_bias) {
  WeightPlacement p{.row = &row, .layer = layer, .is_bias = is_bias};
  for (const FileTensor& t : row.pieces()) {
    Axis cols = is_bias ? Axis::kOne : t.cols;
    Piece piece{.name = is_bias ? bias_name(t, layer) : weight_name(t, layer),
                .part = {range_of(config, shard, t.rows), range_of(config, shard, cols)},
                .turned = t.is_turned ? config.head_dim : 0};
    p.rows += piece.part.rows.size;
    p.cols = piece.part.cols.size;
    p.pieces.push_back(std::move(piece));
  }
  return p;
}

uint64_t seed_of(uint64_t seed, const std::string& name) {
  Fnv64 hash;
  hash.value ^= seed;
  for (char c : name) hash.add(static_cast<unsigned char>(c));
  return hash.value;
}

void fill_ones(const Tensor& t, const Backend& backend, Stream stream) {
  auto n = static_cast<size_t>(t.view().numel());
  std::vector<float> ones(n, 1.0f);
  std::vector<bf16> half(n, to_bf16(1.0f));
  const void* data =
      t.view().dtype == DType::f32 ? static_cast<const void*>(ones.data()) : half.data();
  backend.device.copy(stream, t.view().data, data, t.bytes());
  backend.device.synchronize(stream);
}

constexpr float kRandomScale = 0.035f;  // standard deviation 0.02, as Qwen2 is initialised

void fill_placement(const WeightPlacement& p, const Tensor& t, const ModelConfig& config,
                    const Backend& backend, Stream stream, uint64_t seed) {
  if (p.row->kind == WeightRow::Kind::kNorm) return fill_ones(t, backend, stream);
  int64_t full_cols = p.is_bias ? 1 : extent_of(config, p.row->tensors[0].cols);
  auto fill = [&](TensorView rows, const Piece& piece, int64_t first_row) {
    backend.ops.fill_random(stream, rows, seed_of(seed, piece.name), kRandomScale, first_row,
                            piece.part.cols.begin, full_cols);
  };
  // Row 2 r is gate's row r: one run of an interleaved whole.
  if (p.alternate()) return fill(t, p.pieces[0], 2 * p.pieces[0].part.rows.begin);
  int64_t row = 0;
  for (const Piece& piece : p.pieces) {
    fill(t.view().rows(row, piece.part.rows.size), piece, piece.part.rows.begin);
    row += piece.part.rows.size;
  }
}

}  // namespace

size_t natural_bytes(int64_t rows, int64_t cols, DType dtype) {
  return static_cast<size_t>(rows * cols) * size_of(dtype);
}

PackedWeight& DecoderWeights::at(WeightPart part, int64_t layer) {
  if (part == WeightPart::kEmbed) return embed;
  if (part == WeightPart::kFinalNorm) return final_norm;
  if (part == WeightPart::kLmHead) return lm_head;
  return layers.at(static_cast<size_t>(layer))[part];
}

size_t WeightPlacement::bytes(PackedBytes packed_bytes, DType dtype) const {
  return is_matrix() ? packed_bytes(rows, cols, dtype) : natural_bytes(rows, cols, dtype);
}

WeightPlacements weight_placements(const ModelConfig& config, const ModelShard& shard) {
  WeightPlacements placements;
  for_each_row(config, [&](const WeightRow& row, int64_t layer) {
    placements.push_back(placement_of(config, shard, row, layer, false));
    if (row.has_bias) placements.push_back(placement_of(config, shard, row, layer, true));
  });
  return placements;
}

size_t weight_bytes(const WeightPlacements& placements, PackedBytes packed_bytes, DType dtype) {
  size_t bytes = 0;
  for (const WeightPlacement& p : placements) bytes += p.bytes(packed_bytes, dtype);
  return bytes;
}

DType model_dtype(DType stored) { return stored == DType::f32 ? DType::f32 : DType::bf16; }

DecoderWeights load_weights(const WeightStore& store, const ModelShard& shard, DType dtype,
                            const Backend& backend, Stream stream, int num_threads,
                            const LoadProgress& progress, bool verifies) {
  WeightPlacements placements = weight_placements(store.config(), shard);
  DecoderWeights weights = no_weights(store.config(), dtype);
  WeightReader reader(store, dtype, backend, stream, num_threads, WeightReader::kStagingBytes,
                      verifies);
  reader.read(
      placements,
      [&](size_t i, Tensor natural) {
        put_weight(weights, placements[i], std::move(natural), backend.ops, stream);
      },
      progress);
  tie_head(weights, store.config());
  return weights;
}

DecoderWeights random_weights(const ModelConfig& config, const ModelShard& shard, DType dtype,
                              const Backend& backend, Stream stream, uint64_t seed) {
  DecoderWeights weights = no_weights(config, dtype);
  for (const WeightPlacement& p : weight_placements(config, shard)) {
    Tensor natural = natural_tensor(p, dtype, backend.device);
    fill_placement(p, natural, config, backend, stream, seed);
    put_weight(weights, p, std::move(natural), backend.ops, stream);
  }
  backend.device.synchronize(stream);
  tie_head(weights, config);
  return weights;
}

DecoderWeights no_weights(const ModelConfig& config, DType dtype) {
  DecoderWeights weights;
  weights.layers.resize(static_cast<size_t>(config.num_layers));
  weights.dtype = dtype;
  return weights;
}

Tensor natural_tensor(const WeightPlacement& p, DType dtype, const DeviceApi& device) {
  return p.is_matrix() ? Tensor(device, dtype, {p.rows, p.cols}) : Tensor(device, dtype, {p.rows});
}

void put_weight(DecoderWeights& weights, const WeightPlacement& p, Tensor natural, const Ops& ops,
                Stream stream) {
  PackedWeight& to = weights.at(p.row->part, p.layer);
  if (p.is_bias) {
    to.bias = std::move(natural);
  } else if (p.is_matrix()) {
    to.weight = ops.pack_weight(stream, natural, to.storage);
  } else {
    to.storage = std::move(natural);
    to.weight = {.data = to.storage, .rows = p.rows, .cols = 1};
  }
}

Tensor take_weight(DecoderWeights& weights, const WeightPlacement& p, const Ops& ops,
                   Stream stream) {
  PackedWeight& from = weights.at(p.row->part, p.layer);
  if (p.is_bias) return std::exchange(from.bias, {});
  Weight weight = std::exchange(from.weight, {});
  Tensor storage = std::exchange(from.storage, {});
  return p.is_matrix() ? ops.unpack_weight(stream, weight, storage) : storage;
}

void tie_head(DecoderWeights& weights, const ModelConfig& config) {
  if (config.tie_word_embeddings) weights.lm_head = weights.embed;
}

}  // namespace ll
