#include "model/decoder/decoder.h"

#include <algorithm>

#include "model/decoder/rope_table.h"

namespace ll {
namespace {

constexpr int64_t kFewRows = 4;  // kernels of so few rows do not defer norms

template <class T>
const T* pointer_to(const std::optional<T>& x) {
  return x ? &*x : nullptr;
}

// The same memory, `rows` rows of `width`.
TensorView reshaped(const Tensor& t, int64_t rows, int64_t width) {
  return {t.view().data, t.view().dtype, {rows, width}};
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
      a_(backend, config, shard, weights_.dtype, max_tokens) {
  std::vector<float> angles = rope_table(config, num_positions);
  rope_ = Tensor(backend.device, DType::f32, {num_positions, config.head_dim});
  Stream stream = backend.device.create_stream();
  backend.device.copy(stream, rope_.view().data, angles.data(), rope_.bytes());
  backend.device.synchronize(stream);
  backend.device.destroy_stream(stream);
  for (const DecoderLayer& layer : weights_.layers)
    own_layers_.push_back({own_column(*config.family, layer)});
  if (shard.merged_columns > 1)
    gathered_layers_ = std::make_unique<GatheredWeights>(
        backend, grid.weights_comm(), *config.family, weights_, shard.merged_share_heads());
}

size_t Decoder::activation_bytes(const ModelConfig& config, const ModelShard& shard, DType dtype,
                                 int64_t max_tokens, int64_t num_positions) {
  return Activations::bytes(config, shard, dtype, max_tokens) +
         static_cast<size_t>(num_positions * config.head_dim) * sizeof(float);
}

Decoder::Rows Decoder::rows_of(const StepInputs& inputs) const {
  int64_t all = inputs.batch.num_tokens;
  if (!inputs.gathered) return {all, all, 0, all, false, inputs.batch, defers_norms(all)};
  // Whole blocks but for the last ones: gathered blocks are then the rows in their order.
  int64_t z = shard_.merged_columns, block = (all + z - 1) / z,
          first = std::min(grid_.place().j % z * block, all);
  return {all, block, first, std::min(block, all - first), true, inputs.batch};
}

TensorView Decoder::forward(Stream stream, const StepInputs& inputs, const KvCache& kv) {
  ensure(!inputs.gathered || gathered_layers_, "gathered mode needs a grid with z > 1");
  Rows rows = rows_of(inputs);
  if (rows.defers)
    backend_.device.fill(stream, squares_of(0, rows), 0, num_blocks() * squares_bytes(rows));
  backend_.ops.begin_step(stream, inputs.batch,
                          {.num_heads = static_cast<int32_t>(shard_.heads.size),
                           .num_kv_heads = static_cast<int32_t>(shard_.kv_heads.size),
                           .head_dim = static_cast<int32_t>(config_.head_dim),
                           .split = kv.positions()});
  if (rows.gathered) gathered_layers_->begin(stream);
  embed(stream, inputs, rows);
  for (size_t l = 0; l < std::min(weights_.layers.size(), inputs.most_layers); ++l) {
    const DecoderLayer& own = weights_.layers[l];
    const LayerView& layer = rows.gathered ? gathered_layers_->layer(stream, l) : own_layers_[l];
    BlockNorms attention = norms_around(2 * l, rows), mlp = norms_around(2 * l + 1, rows);
    if (!attention.before) add_and_norm(stream, l > 0, own[WeightPart::kInputNorm], rows);
    if (observer_) observer_(static_cast<int64_t>(l), a_.residual.view().rows(0, rows.mine));
    attention_block(stream, layer, rows, kv.layer(static_cast<int64_t>(l)), attention);
    if (!mlp.before) add_and_norm(stream, true, own[WeightPart::kPostAttentionNorm], rows);
    mlp_block(stream, layer, rows, mlp);
  }
  return final_hidden(stream, rows);
}

bool Decoder::defers_norms(int64_t rows) const {
  return backend_.defers_norms && a_.row_squares && rows > kFewRows && rows <= kMostDeferredRows;
}

size_t Decoder::squares_bytes(const Rows& rows) {
  return static_cast<size_t>(rows.all * kSquaresStride) * sizeof(uint64_t);
}

uint64_t* Decoder::squares_of(size_t block, const Rows& rows) const {
  auto* all = static_cast<uint64_t*>(a_.row_squares.view().data);
  return all + static_cast<int64_t>(block) * rows.all * kSquaresStride;
}

Decoder::BlockNorms Decoder::norms_around(size_t block, const Rows& rows) const {
  BlockNorms norms;
  if (!rows.defers) return norms;
  if (block > 0) norms.before = RowSquares{squares_of(block - 1, rows), config_.rms_norm_eps};
  if (block + 1 < num_blocks()) norms.after = norm_after(block, rows);
  return norms;
}

AddRmsNormArgs Decoder::norm_after(size_t block, const Rows& rows) const {
  bool is_mlp = block % 2 == 1;
  const PackedWeight& weight = is_mlp ? weights_.layers[block / 2 + 1][WeightPart::kInputNorm]
                                      : weights_.layers[block / 2][WeightPart::kPostAttentionNorm];
  AddRmsNormArgs norm{a_.normed.view().rows(0, rows.all),
                      a_.residual.view().rows(0, rows.all),
                      {},
                      weight.vector(),
                      config_.rms_norm_eps};
  norm.row_squares = squares_of(block, rows);
  return norm;
}

// The vocabulary's rows have all columns: summed over all ranks, each takes its own part.
void Decoder::embed(Stream stream, const StepInputs& inputs, const Rows& rows) {
  bool is_whole = !a_.embedded;
  TensorView out = (is_whole ? a_.residual : a_.embedded).view().rows(0, rows.all);
  backend_.ops.embed(
      stream, {out, weights_.embed.weight, inputs.ids, inputs.last_tokens, shard_.vocab.begin});
  grid_.replica_comm().all_reduce_sum(stream, out);
  if (!is_whole)
    backend_.ops.copy_columns(stream, a_.residual.view().rows(0, rows.mine), 0,
                              out.rows(rows.first, rows.mine), shard_.hidden.begin,
                              shard_.hidden.size);
}

void Decoder::attention_block(Stream stream, const LayerView& layer, const Rows& rows,
                              const KvPages& kv, const BlockNorms& norms) {
  project_qkv(stream, layer, rows, kv, pointer_to(norms.before));
  attend(stream, rows, kv);
  TensorView slices = a_.attention;
  if (rows.gathered) {  // each rank's rows, from every column
    slices = a_.own_slices;
    grid_.z_comm().all_to_all(stream, a_.attention.view().data, slices.data,
                              slices.rows(0, rows.block).bytes());
  }
  row_products(stream, layer, rows, slices, rows.block, WeightPart::kAttentionOut,
               pointer_to(norms.after));
}

void Decoder::project_qkv(Stream stream, const LayerView& layer, const Rows& rows,
                          const KvPages& kv, const RowSquares* x_squares) {
  RopeAndStoreArgs rope{a_.qkv.view().rows(0, rows.all),
                        rope_,
                        kv,
                        rows.batch,
                        static_cast<int32_t>(shard_.heads.size),
                        static_cast<int32_t>(shard_.kv_heads.size)};
  ColumnProduct product{a_.qkv, rows.block, 1, WeightPart::kQkv};
  product.x_squares = x_squares;
  if (rows.gathered) {
    gather_qkv(stream, layer, rows, product);
  } else {
    if (shard_.hidden_parts == 1) product.ending = Ending::rope_and_store(rope);
    column_products(stream, layer, rows, product);
  }
  if (!product.ending.rope()) backend_.ops.rope_and_store_kv(stream, rope);
}

void Decoder::gather_qkv(Stream stream, const LayerView& layer, const Rows& rows,
                         ColumnProduct product) {
  // Attention keeps to its heads and positions: own rows go to the columns whose heads they have.
  product.out = a_.own_qkv;
  size_t bytes = product.out.rows(0, rows.block).bytes();
  if (shard_.merged_share_heads()) {
    column_products(stream, layer, rows, product);
    return grid_.z_comm().all_gather(stream, product.out.data, a_.qkv.view().data, bytes);
  }
  product.columns = layer.size();
  column_products(stream, layer, rows, product);
  grid_.z_comm().all_to_all(stream, product.out.data, a_.qkv.view().data, bytes);
}

void Decoder::attend(Stream stream, const Rows& rows, const KvPages& kv) {
  const Ops& ops = backend_.ops;
  auto heads = static_cast<int32_t>(shard_.heads.size),
       kv_heads = static_cast<int32_t>(shard_.kv_heads.size);
  auto of = [&](const Tensor& t) { return t.view().rows(0, rows.all); };
  if (shard_.kv_parts == 1)
    return ops.attention(stream, {of(a_.attention), of(a_.qkv), kv, rows.batch, heads, kv_heads});
  auto* log_sums = a_.log_sums.view().as<float>();
  ops.attention(stream,
                {of(a_.group_attention), of(a_.qkv), kv, rows.batch, heads, kv_heads, log_sums});
  // The x ranks of a column all need its slice. Sending it to each of them is one exchange, where
  // splitting it further would be two; for x = 2 both move the same bytes.
  AttentionBlocks sent = attention_blocks(shard_, dtype(), rows.all, a_.sent_parts.view().data),
                  received = sent;
  received.data = a_.received_parts.view().data;
  ops.pack_attention(
      stream, {sent, shard_.kv_parts, shard_.hidden_parts, of(a_.group_attention), log_sums});
  grid_.kv_comm().all_to_all(stream, sent.data, received.data, sent.block_bytes());
  int64_t first = shard_.attention.begin - shard_.heads.begin * config_.head_dim;
  ops.merge_attention(stream,
                      {of(a_.attention), received, shard_.kv_parts, first, config_.head_dim});
}

void Decoder::mlp_block(Stream stream, const LayerView& layer, const Rows& rows,
                        const BlockNorms& norms) {
  column_products(stream, layer, rows,
                  {a_.act, rows.mine, layer.size(), WeightPart::kGateUp, Ending::silu_and_mul(),
                   pointer_to(norms.before)});
  row_products(stream, layer, rows, a_.act, rows.mine, WeightPart::kDown, pointer_to(norms.after));
}

void Decoder::column_products(Stream stream, const LayerView& layer, const Rows& rows,
                              const ColumnProduct& p) {
  const Ops& ops = backend_.ops;
  TensorView x = a_.normed.view().rows(0, rows.mine);
  auto out_of = [&](size_t c) { return p.out.rows(static_cast<int64_t>(c) * p.stride, rows.mine); };
  if (shard_.hidden_parts == 1) {
    for (size_t c = 0; c < p.columns; ++c)
      ops.linear(stream, {out_of(c), x, layer[c][p.part].weight, layer[c][p.part].bias, p.ending,
                          p.x_squares});
    return;
  }
  // Sums over part of the inputs, of rows not yet normalised: what is not linear comes afterwards.
  auto count = static_cast<int64_t>(p.columns);
  TensorView wide = reshaped(a_.wide, count * rows.mine, layer[0][p.part].weight.rows),
             squares = a_.sum_squares.view().rows(0, rows.mine);
  auto wide_of = [&](size_t c) {
    return wide.rows(static_cast<int64_t>(c) * rows.mine, rows.mine);
  };
  for (size_t c = 0; c < p.columns; ++c)
    ops.linear(stream, {wide_of(c), x, layer[c][p.part].weight, {}});
  grid_.x_comm().all_reduce_sum(stream, wide, squares);
  for (size_t c = 0; c < p.columns; ++c)
    ops.finish_linear(stream, {out_of(c), wide_of(c), squares.as<float>(), config_.hidden_size,
                               config_.rms_norm_eps, layer[c][p.part].bias, p.ending});
}

void Decoder::row_products(Stream stream, const LayerView& layer, const Rows& rows, TensorView x,
                           int64_t stride, WeightPart part, const AddRmsNormArgs* norm) {
  TensorView sum = a_.partial.view().rows(0, rows.mine);
  Ending ending = norm ? Ending::add_rms_norm(*norm) : Ending();
  backend_.ops.linear(stream, {sum, x.rows(0, rows.mine), layer[0][part].weight, {}, ending});
  for (size_t c = 1; c < layer.size(); ++c) {
    TensorView more = a_.addend.view().rows(0, rows.mine);
    backend_.ops.linear(
        stream,
        {more, x.rows(static_cast<int64_t>(c) * stride, rows.mine), layer[c][part].weight, {}});
    backend_.ops.add(stream, sum, more);
  }
}

void Decoder::add_and_norm(Stream stream, bool pending, const PackedWeight& weight,
                           const Rows& rows) {
  auto of = [&](const Tensor& t) { return t.view().rows(0, rows.mine); };
  Communicator& columns = rows.gathered ? grid_.gathered_y_comm() : grid_.y_comm();
  float* squares = shard_.hidden_parts > 1 ? a_.sum_squares.view().as<float>() : nullptr;
  columns.all_reduce_add_rms_norm(
      stream, {of(a_.normed), of(a_.residual), pending ? of(a_.partial) : TensorView{},
               weight.vector(), config_.rms_norm_eps, squares});
}

TensorView Decoder::final_hidden(Stream stream, const Rows& rows) {
  add_and_norm(stream, true, weights_.final_norm, rows);
  if (observer_) observer_(config_.num_layers, a_.residual.view().rows(0, rows.mine));
  TensorView normed = a_.normed.view().rows(0, rows.mine);
  if (shard_.hidden_parts > 1) {
    TensorView squares = a_.sum_squares.view().rows(0, rows.mine);
    grid_.x_comm().all_reduce_sum(stream, squares);
    backend_.ops.finish_linear(
        stream,
        {normed, normed, squares.as<float>(), config_.hidden_size, config_.rms_norm_eps, {}});
  }
  if (!rows.gathered) return normed;
  grid_.z_comm().all_gather(stream, normed.data, a_.hidden.view().data,
                            a_.normed.view().rows(0, rows.block).bytes());
  return a_.hidden.view().rows(0, rows.all);
}

void Decoder::do_products(Stream stream, const BatchView& batch, const KvCache& kv,
                          TensorView logits) {
  StepInputs inputs{.batch = batch};
  Rows rows = rows_of(inputs);
  for (const Tensor* t : {&a_.normed, &a_.residual, &a_.attention}) {
    TensorView x = t->view().rows(0, rows.all);
    backend_.ops.fill_random(stream, x, 0, 1.0f, 0, 0, x.dim(1));
  }
  const LayerView& layer = own_layers_.front();
  auto products = [&](const BlockNorms& norms) {
    project_qkv(stream, layer, rows, kv.layer(0), pointer_to(norms.before));
    row_products(stream, layer, rows, a_.attention, rows.block, WeightPart::kAttentionOut,
                 pointer_to(norms.after));
    mlp_block(stream, layer, rows, norms);
  };
  products({});
  if (rows.defers) {  // such a step has products of either kind
    backend_.device.fill(stream, squares_of(0, rows), 1, squares_bytes(rows));
    products({RowSquares{squares_of(0, rows), config_.rms_norm_eps}, norm_after(0, rows)});
  }
  this->logits(stream, a_.normed.view().rows(0, logits.dim(0)), logits);
}

void Decoder::prepare_decode_one(const KvCache& kv) {
  if (!backend_.fused_decode || grid_.shape().replica_size() > 1 || dtype() != DType::bf16) return;
  FusedDecodeModel m{.num_heads = static_cast<int32_t>(config_.num_heads),
                     .num_kv_heads = static_cast<int32_t>(config_.num_kv_heads),
                     .head_dim = static_cast<int32_t>(config_.head_dim),
                     .eps = config_.rms_norm_eps,
                     .embed = weights_.embed.weight,
                     .lm_head = weights_.lm_head.weight,
                     .final_norm = weights_.final_norm.vector(),
                     .cos_sin = rope_};
  for (size_t l = 0; l < weights_.layers.size(); ++l) {
    const DecoderLayer& w = weights_.layers[l];
    m.layers.push_back({.input_norm = w[WeightPart::kInputNorm].vector(),
                        .qkv = w[WeightPart::kQkv].weight,
                        .qkv_bias = w[WeightPart::kQkv].bias,
                        .o = w[WeightPart::kAttentionOut].weight,
                        .post_attention_norm = w[WeightPart::kPostAttentionNorm].vector(),
                        .gate_up = w[WeightPart::kGateUp].weight,
                        .down = w[WeightPart::kDown].weight,
                        .kv = kv.layer(static_cast<int64_t>(l))});
  }
  void* handle = backend_.fused_decode->create(m);
  if (!handle) return;
  decode_one_ =
      std::shared_ptr<void>(handle, [&api = *backend_.fused_decode](void* h) { api.destroy(h); });
  decode_one_positions_ = backend_.fused_decode->max_positions(handle);
}

void Decoder::decode_one(Stream stream, const StepInputs& inputs, TensorView logits) {
  const BatchView& b = inputs.batch;
  backend_.fused_decode->run(stream, decode_one_.get(),
                             {inputs.ids, inputs.last_tokens, b.positions, b.slots, b.page_table,
                              b.page_table_stride, logits.as<float>()});
}

void Decoder::logits(Stream stream, TensorView hidden, TensorView out) const {
  int64_t parts = shard_.hidden_parts, rows = hidden.dim(0);
  if (parts > 1) {  // of the rows that are wanted only, all columns
    TensorView whole = a_.embedded.view().rows(0, rows),
               collected = reshaped(a_.collected, parts * rows, hidden.dim(1));
    grid_.x_comm().all_gather(stream, hidden.data, collected.data, hidden.bytes());
    for (int64_t i = 0; i < parts; ++i)
      backend_.ops.copy_columns(stream, whole, i * hidden.dim(1), collected.rows(i * rows, rows), 0,
                                hidden.dim(1));
    hidden = whole;
  }
  backend_.ops.linear(stream, {out, hidden, weights_.lm_head.weight, {}});
}

}  // namespace ll
