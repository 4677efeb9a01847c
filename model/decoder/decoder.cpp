#include "model/decoder/decoder.h"

#include <algorithm>

#include "base/numbers.h"
#include "model/decoder/rope_table.h"

namespace ll {
namespace {

Tensor uploaded_angles(const Backend& backend, const ModelConfig& config, int64_t num_positions) {
  std::vector<float> angles = rope_table(config, num_positions);
  Tensor t(backend.device, DType::f32, {num_positions, config.head_dim});
  Stream stream = backend.device.create_side_stream();
  backend.device.copy(stream, t.view().data, angles.data(), t.bytes());
  backend.device.synchronize(stream);
  backend.device.destroy_stream(stream);
  return t;
}

}  // namespace

Decoder::Decoder(const ModelConfig& config, const ModelShard& shard, DecoderWeights weights,
                 const Backend& backend, const ProcessGrid& grid, int64_t max_tokens,
                 int64_t num_positions)
    : config_(config),
      shard_(shard),
      weights_(std::move(weights)),
      backend_(backend),
      grid_(grid),
      angles_(uploaded_angles(backend, config, num_positions)),
      a_(backend, {config, shard, weights_.dtype}, max_tokens),
      context_{config_, shard_, backend_, grid_, a_},
      parts_{.x = {context_, weights_},
             .attention = {context_, angles_},
             .attention_out = {context_, WeightPart::kAttentionOut},
             .gate_up = {context_, WeightPart::kGateUp},
             .down = {context_, WeightPart::kDown}} {
  for (const DecoderLayer& layer : weights_.layers)
    own_layers_.push_back({own_column(*config.family, layer)});
  if (shard.merged_columns > 1)
    gathered_layers_ = std::make_unique<GatheredWeights>(
        backend, grid.weights_comm(), *config.family, weights_, shard.merged_share_heads());
}

size_t Decoder::activation_bytes(const ModelPart& part, int64_t max_tokens, int64_t num_positions) {
  return Activations::bytes(part, max_tokens) +
         static_cast<size_t>(num_positions * part.config.head_dim) * sizeof(float);
}

TensorView Decoder::forward(Stream stream, const StepInputs& inputs, const KvCache& kv) {
  begin(stream, inputs, kv);
  for (size_t l = 0; l < weights_.layers.size(); ++l) layer(stream, l, kv);
  return finish(stream);
}

void Decoder::begin(Stream stream, const StepInputs& inputs, const KvCache& kv) {
  ensure(!inputs.gathered || gathered_layers_, "gathered mode needs a grid with z > 1");
  StepRows rows = rows_of(inputs.batch, inputs.gathered);
  parts_.x.begin(stream, rows);
  parts_.attention.begin(stream, inputs.batch, kv.positions());
  if (rows.gathered) gathered_layers_->begin(stream);
  embed(stream, inputs, rows);
}

void Decoder::layer(Stream stream, size_t index, const KvCache& kv) {
  NormedStream& x = parts_.x;
  const LayerView& w = layer_view(stream, index);
  x.norm(stream, 2 * index);
  show_residual(index);
  ColumnRows heads = parts_.attention(stream, w, x, kv.layer(static_cast<int64_t>(index)));
  finish_layer(stream, index, w, heads);
}

// From what attention put out to the end of the MLP.
void Decoder::finish_layer(Stream stream, size_t index, const LayerView& w,
                           const ColumnRows& heads) {
  auto& [x, attention, attention_out, gate_up, down] = parts_;
  ColumnRows mlp{.data = a_.act, .stride = x.rows().mine};
  attention_out(stream, w, heads, x);
  x.norm(stream, 2 * index + 1);
  gate_up(stream, w, w.size(), x, mlp, Ending::silu_and_mul());
  down(stream, w, mlp, x);
}

bool Decoder::begin_products(Stream stream, const BatchView& batch, bool may_defer) {
  NormedStream& x = parts_.x;
  x.begin(stream, rows_of(batch, /*gathered=*/false), may_defer);
  for (TensorView t : {x.residual(), own_attention().of_column(0, x.rows().mine)})
    backend_.ops.fill_random(stream, t, 0, 1.0f, 0, 0, t.dim(1));
  return x.defers();
}

void Decoder::layer_products(Stream stream, size_t index, const KvCache& kv) {
  const LayerView& w = own_layers_[index];
  parts_.x.norm(stream, 2 * index);
  parts_.attention.project(stream, w, parts_.x, kv.layer(static_cast<int64_t>(index)));
  finish_layer(stream, index, w, own_attention());
}

TensorView Decoder::finish(Stream stream) {
  parts_.x.norm(stream, parts_.x.num_norms() - 1);
  show_residual(weights_.layers.size());
  return parts_.x.finish(stream);
}

StepRows Decoder::rows_of(const BatchView& batch, bool gathered) const {
  int64_t all = batch.num_tokens;
  if (!gathered) return {.batch = batch, .all = all, .share = all, .first = 0, .mine = all};
  // Whole shares but for the last ones: gathered, they are then the rows in their order.
  int64_t z = shard_.merged_columns, share = ceil_div(all, z),
          first = std::min(grid_.place().j % z * share, all);
  return {.batch = batch,
          .gathered = true,
          .all = all,
          .share = share,
          .first = first,
          .mine = std::min(share, all - first)};
}

const LayerView& Decoder::layer_view(Stream stream, size_t index) {
  bool gathered = parts_.x.rows().gathered;
  return gathered ? gathered_layers_->layer(stream, index) : own_layers_[index];
}

void Decoder::show_residual(size_t layer) const {
  if (observer_) observer_(static_cast<int64_t>(layer), parts_.x.residual());
}

// The vocabulary's rows have all columns: summed over all ranks, each takes its own part.
void Decoder::embed(Stream stream, const StepInputs& inputs, const StepRows& rows) {
  bool is_whole = !a_.embedded;
  TensorView out = (is_whole ? a_.residual : a_.embedded).view().rows(0, rows.all);
  backend_.ops.embed(stream, {.out = out,
                              .table = weights_.embed.weight,
                              .ids = inputs.ids,
                              .last_tokens = inputs.last_tokens,
                              .vocab_begin = shard_.vocab.begin});
  grid_.replica_comm().all_reduce_sum(stream, out);
  if (!is_whole)
    backend_.ops.copy_columns(stream, parts_.x.residual(), 0, out.rows(rows.first, rows.mine),
                              shard_.hidden.begin, shard_.hidden.size);
}

void Decoder::prepare_decode_one(const KvCache& kv) {
  if (backend_.fused_decode)
    decode_one_ = DecodeOne::make(*backend_.fused_decode, {config_, shard_, dtype()}, weights_,
                                  angles_, kv, grid_);
}

void Decoder::decode_one(Stream stream, const StepInputs& inputs, TensorView logits) {
  const BatchView& b = inputs.batch;
  decode_one_->run(stream, {.ids = inputs.ids,
                            .last_tokens = inputs.last_tokens,
                            .positions = b.positions,
                            .slots = b.slots,
                            .page_table = b.page_table,
                            .page_table_stride = b.page_table_stride,
                            .logits = logits.as<float>()});
}

void Decoder::logits(Stream stream, TensorView hidden, TensorView out) const {
  TensorView rows = context_.splits_hidden() ? whole_rows(stream, hidden) : hidden;
  backend_.ops.linear(stream,
                      {.out = out, .x = rows, .weight = weights_.lm_head.weight, .bias = {}});
}

// All columns of rows of which the x ranks have a part each; of the rows that are wanted only.
TensorView Decoder::whole_rows(Stream stream, TensorView hidden) const {
  int64_t rows = hidden.dim(0), columns = hidden.dim(1);
  TensorView whole = a_.embedded.view().rows(0, rows),
             parts{a_.collected.view().data, hidden.dtype, {shard_.hidden_parts * rows, columns}};
  grid_.x_comm().all_gather(stream, hidden.data, parts.data, hidden.bytes());
  for (int64_t i = 0; i < shard_.hidden_parts; ++i)
    backend_.ops.copy_columns(stream, whole, i * columns, parts.rows(i * rows, rows), 0, columns);
  return whole;
}

}  // namespace ll
