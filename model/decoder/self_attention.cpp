#include "model/decoder/self_attention.h"

namespace ll {

void SelfAttention::begin(Stream stream, const BatchView& batch,
                          const PositionSplit& positions) const {
  context_.backend.ops.begin_step(stream, batch,
                                  {.num_heads = num_heads(),
                                   .num_kv_heads = num_kv_heads(),
                                   .head_dim = static_cast<int32_t>(context_.config.head_dim),
                                   .split = positions});
}

ColumnRows SelfAttention::operator()(Stream stream, const LayerView& layer, const NormedStream& x,
                                     const KvPages& kv) const {
  project(stream, layer, x, kv);
  attend(stream, x.rows(), kv);
  const Activations& a = context_.activations;
  int64_t share = x.rows().share;
  if (!x.rows().gathered) return {.data = a.attention, .stride = share};
  TensorView slices = a.own_slices;
  context_.grid.z_comm().all_to_all(stream, a.attention.view().data, slices.data,
                                    slices.rows(0, share).bytes());
  return {.data = slices, .stride = share};
}

void SelfAttention::project(Stream stream, const LayerView& layer, const NormedStream& x,
                            const KvPages& kv) const {
  const StepRows& rows = x.rows();
  TensorView qkv = context_.activations.qkv;
  RopeAndStoreArgs rope{.qkv = qkv.rows(0, rows.all),
                        .cos_sin = angles_,
                        .kv = kv,
                        .batch = rows.batch,
                        .num_heads = num_heads(),
                        .num_kv_heads = num_kv_heads()};
  if (!rows.gathered && !context_.splits_hidden())
    return qkv_(stream, layer, 1, x, {.data = qkv, .stride = rows.share},
                Ending::rope_and_store(rope));
  if (rows.gathered)
    project_and_exchange(stream, layer, x);
  else
    qkv_(stream, layer, 1, x, {.data = qkv, .stride = rows.share}, {});
  context_.backend.ops.rope_and_store_kv(stream, rope);
}

// Own rows go to the columns whose heads they have.
void SelfAttention::project_and_exchange(Stream stream, const LayerView& layer,
                                         const NormedStream& x) const {
  const Activations& a = context_.activations;
  ColumnRows own{.data = a.own_qkv, .stride = x.rows().share};
  size_t bytes = own.of_column(0, own.stride).bytes();
  bool share_heads = context_.shard.merged_share_heads();
  qkv_(stream, layer, share_heads ? 1 : layer.size(), x, own, {});
  if (share_heads)
    context_.grid.z_comm().all_gather(stream, own.data.data, a.qkv.view().data, bytes);
  else
    context_.grid.z_comm().all_to_all(stream, own.data.data, a.qkv.view().data, bytes);
}

// Over all positions of all rows, this rank's columns of o_proj.
void SelfAttention::attend(Stream stream, const StepRows& rows, const KvPages& kv) const {
  if (context_.shard.kv_parts > 1) return attend_in_parts(stream, rows, kv);
  const Activations& a = context_.activations;
  context_.backend.ops.attention(stream, {.out = a.attention.view().rows(0, rows.all),
                                          .qkv = a.qkv.view().rows(0, rows.all),
                                          .kv = kv,
                                          .batch = rows.batch,
                                          .num_heads = num_heads(),
                                          .num_kv_heads = num_kv_heads()});
}

// Over this rank's positions first. The x ranks of a column all need its slice. Sending it to each
// of them is one exchange, where splitting it further would be two; for x = 2 both move the same
// bytes.
void SelfAttention::attend_in_parts(Stream stream, const StepRows& rows, const KvPages& kv) const {
  const Ops& ops = context_.backend.ops;
  const ModelShard& shard = context_.shard;
  const Activations& a = context_.activations;
  TensorView group = a.group_attention.view().rows(0, rows.all);
  auto* log_sums = a.log_sums.view().as<float>();
  ops.attention(stream, {.out = group,
                         .qkv = a.qkv.view().rows(0, rows.all),
                         .kv = kv,
                         .batch = rows.batch,
                         .num_heads = num_heads(),
                         .num_kv_heads = num_kv_heads(),
                         .log_sums = log_sums});
  AttentionParts sent = attention_parts(shard, group.dtype, rows.all, a.sent_parts.view().data),
                 received = sent;
  received.data = a.received_parts.view().data;
  ops.pack_attention(stream, {.to = sent,
                              .num_parts = shard.kv_parts,
                              .copies = shard.hidden_parts,
                              .out = group,
                              .log_sums = log_sums});
  context_.grid.kv_comm().all_to_all(stream, sent.data, received.data, sent.part_bytes());
  int64_t head_dim = context_.config.head_dim;
  ops.merge_attention(stream, {.out = a.attention.view().rows(0, rows.all),
                               .from = received,
                               .num_parts = shard.kv_parts,
                               .first_column = shard.attention.begin - shard.heads.begin * head_dim,
                               .head_dim = head_dim});
}

}  // namespace ll
