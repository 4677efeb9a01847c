#include "model/decoder/activations.h"

#include <algorithm>

#include "base/numbers.h"

namespace ll {
namespace {

// Calls visit(member, dtype, shape) for each tensor the shard needs.
template <class Visit>
void for_each(const ModelPart& part, int64_t max_tokens, Visit&& visit) {
  const auto& [config, shard, dtype] = part;
  int64_t z = shard.merged_columns, t = round_up(max_tokens, z);
  int64_t e = shard.hidden.size, whole = config.hidden_size, heads = shard.heads.size,
          qkv = shard.qkv_rows(config), slice = shard.attention.size, ffn = shard.ffn.size;
  auto rows_of = [&](Tensor Activations::*member, int64_t width) {
    visit(member, part.dtype, Shape{t, width});
  };
  using A = Activations;
  for (auto member : {&A::residual, &A::normed, &A::partial}) rows_of(member, e);
  rows_of(&A::qkv, qkv);
  rows_of(&A::attention, slice);
  rows_of(&A::act, ffn);
  bool is_alone = e == whole && ffn == config.intermediate_size && z == 1;
  if (is_alone && dtype == DType::bf16)
    visit(&A::row_squares, DType::u8,
          Shape{2 * config.num_layers, kMostDeferredRows * kSquaresStride * 8});
  if (shard.hidden_parts > 1) {
    visit(&A::sum_squares, DType::f32, Shape{t});
    rows_of(&A::wide, std::max(2 * ffn, qkv));
    rows_of(&A::collected, whole);
  }
  if (shard.hidden_parts > 1 || z > 1) rows_of(&A::embedded, whole);
  if (shard.kv_parts > 1) {
    rows_of(&A::group_attention, heads * config.head_dim);
    visit(&A::log_sums, DType::f32, Shape{t, heads});
    auto bytes = static_cast<int64_t>(attention_parts(shard, dtype, t, nullptr).part_bytes());
    for (auto member : {&A::sent_parts, &A::received_parts})
      visit(member, DType::u8, Shape{shard.kv_parts, bytes});
  }
  if (z == 1) return;
  rows_of(&A::own_qkv, qkv);
  rows_of(&A::own_slices, slice);
  rows_of(&A::addend, e);
  rows_of(&A::hidden, e);
}

}  // namespace

Activations::Activations(const Backend& backend, const ModelPart& part, int64_t max_tokens) {
  for_each(part, max_tokens, [&](Tensor Activations::*member, DType type, const Shape& shape) {
    this->*member = Tensor(backend.device, type, shape);
  });
}

size_t Activations::bytes(const ModelPart& part, int64_t max_tokens) {
  size_t bytes = 0;
  for_each(part, max_tokens, [&](Tensor Activations::*, DType type, const Shape& shape) {
    bytes += static_cast<size_t>(shape.numel()) * size_of(type);
  });
  return bytes;
}

AttentionParts attention_parts(const ModelShard& shard, DType dtype, int64_t rows, void* data) {
  return {data, rows, shard.heads.size, shard.attention.size, dtype};
}

}  // namespace ll
