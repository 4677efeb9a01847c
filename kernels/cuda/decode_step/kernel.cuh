#pragma once
// A whole decode step of one sequence as one persistent kernel, one CTA an SM, without a barrier
// between CTAs. A CTA owns a run of rows of every matrix. Its producer warp streams them through
// shared memory without ever waiting for activations (ring.cuh); activations travel as
// flagged words (words.cuh); attention is cut over positions
// (attention.cuh). The residual stream stays in float32, each element with its owner.
//
// Words are written again a layer later, without asking whether all have read them. They have: a
// CTA writes a word of layer l + 1 only after it has read all of an array of layer l that follows
// in the order of the layer, and each CTA has given its share of that only after its own reads.
//
// Ranks that share out a model each run this kernel on their heads, FFN columns and vocabulary
// rows. Each has a part of the residual stream, to which its o and down add; owners store their
// elements to all ranks' memory, and who reads the stream adds the parts up, so that ranks wait for
// each other nowhere else. The argument above holds between ranks, too, as the stream's words are
// of all ranks' CTAs: each has read those of a layer before it gives its share of the next. A
// step's first words are an array of their own: a rank may begin a step while another still reads
// the end of the last.
#include "kernels/cuda/decode_step/activations.cuh"
#include "kernels/cuda/decode_step/producer.cuh"

namespace ll::cuda {

// Each shape is compiled once for each family.
constexpr KernelFamily kBuiltFamily = KernelFamily::LITELANG_BUILT_FAMILY;

constexpr uint32_t kFirstEpoch = 1;  // words are zero at first
// Parts that no step has written for long must not meet their epoch again: a step from here on
// starts anew.
constexpr uint32_t kLateEpoch = 0xffff0000u;

// So that no step of the new count meets a word of the old.
template <FusedShape kShape>
__device__ void forget_parts(uint64_t* parts) {
  constexpr int kWords = static_cast<int>(num_part_words(kShape));
  for (int i = blockIdx.x * kConsumers + threadIdx.x; i < kWords; i += gridDim.x * kConsumers)
    parts[i] = 0;
}

// This CTA's task, and the angles of the position, to shared memory.
template <FusedShape kShape>
__device__ void begin_step(const FusedArgs& a, int position) {
  SharedMemory<kShape>& shared = shared_memory<kShape>();
  if (threadIdx.x < kShape.head_dim / 2) {
    const float* angles = a.cos_sin + int64_t{position} * kShape.head_dim + threadIdx.x;
    shared.angles[threadIdx.x] = {angles[0], angles[kShape.head_dim / 2]};
  }
  if (threadIdx.x == 0) {
    AttentionTask task = attention_task<kShape>(position);
    if (task.exists())
      task.last_offset = block_offset<kShape>(a.step, task.kv_head, task.last_block);
    shared.task = task;
  }
  sync_consumers();
}

// An element of the embedding of the step's token, with which the residual stream begins; zero on
// ranks that do not have the token's row.
template <FusedShape kShape>
__device__ float embedding(const FusedArgs& a, int element) {
  int id = *a.step.ids;
  if (id < 0) id = a.step.last_tokens[~id];
  if constexpr (kShape.ranks > 1) {
    id -= a.vocab_begin;
    if (id < 0 || id >= kShape.vocab) return 0;
  }
  return widen(a.embed[int64_t{id} * kShape.hidden + element]);
}

// What the eight warps that multiply do in a step.
template <FusedShape kShape>
struct DecodeStep {
  using P = Products<kShape>;

  const FusedArgs& args;
  SharedMemory<kShape>& shared;
  Ring ring, last;
  bf16* x;      // of the next product
  float* sums;  // of the last one
  uint32_t epoch;

  // Residual stream, norm and product.
  template <class Product>
  __device__ void multiply_normed(const uint64_t* words, const Gains<kShape.hidden>& gains,
                                  Matrix matrix) {
    load_normed<kShape.hidden, kShape.ranks>(words, gains, args.eps, epoch, shared.warp_sums, x);
    multiply<Product>(ring, shared.shares[matrix].num_rows, x, sums);
  }

  // The residual stream begins with the token's embedding.
  __device__ void embed() {
    int thread = threadIdx.x;
    Share own = shared.shares[kO];
    if (thread >= own.num_rows) return;
    float element = embedding<kShape>(args, own.first_row + thread);
    shared.residual[thread] = element;
    publish_residual<kShape>(args, args.words.embedding, own.first_row + thread, element, epoch);
  }

  __device__ void project_qkv(const FusedLayer& layer, const uint64_t* input) {
    int thread = threadIdx.x;
    Share share = shared.shares[kQkv];
    bool has_row = thread < share.num_rows;
    auto gains = load_gains<kShape.hidden>(layer.input_norm);
    float bias = has_row ? widen(load_constant(layer.qkv_bias + share.first_row + thread)) : 0;
    multiply_normed<typename P::Qkv>(input, gains, kQkv);
    if (has_row)
      store_word(args.words.qkv + share.first_row + thread,
                 flagged(sum_of_row<typename P::Qkv>(sums, thread) + bias, epoch));
  }

  // Attention's scratch takes the place of x and sums.
  __device__ void attend(const FusedLayer& layer) {
    bool has_task = shared.task.exists();
    if (has_task) {
      sync_consumers();
      Attention<kShape>{args, shared.task, shared.angles, shared.attention}.run(layer, epoch, last,
                                                                                ring);
    }
    merge_parts<kShape>(args.words, shared.task, epoch);
    if (has_task) sync_consumers();
  }

  __device__ void project_attention() {
    load_packed<kShape.query_size() / 2>(args.words.attention, epoch, x);
    multiply<typename P::O>(ring, shared.shares[kO].num_rows, x, sums);
    add_to_residual<kShape, typename P::O>(args, args.words.mlp_input, epoch);
  }

  __device__ void feed_forward(const FusedLayer& layer) {
    auto gains = load_gains<kShape.hidden>(layer.post_attention_norm);
    multiply_normed<typename P::GateUp>(args.words.mlp_input, gains, kGateUp);
    publish_act<typename P::GateUp>(args.words.act, shared.shares[kGateUp], sums, epoch);
    load_packed<kShape.ffn / 2>(args.words.act, epoch, x);
    multiply<typename P::Down>(ring, shared.shares[kDown].num_rows, x, sums);
    add_to_residual<kShape, typename P::Down>(args, args.words.attention_input, epoch + 1);
  }

  __device__ void write_logits() {
    auto gains = load_gains<kShape.hidden>(args.final_norm);
    multiply_normed<typename P::Head>(args.words.attention_input, gains, kHead);
    Share share = shared.shares[kHead];
    for (int i = threadIdx.x; i < share.num_rows; i += kConsumers)
      args.step.logits[share.first_row + i] = sum_of_row<typename P::Head>(sums, i);
  }

  // All have read the epoch and the last parts: they gave their shares of the final residual
  // stream.
  __device__ void set_next_epoch() {
    bool is_late = epoch >= kLateEpoch;
    if (is_late) forget_parts<kShape>(args.words.parts);
    if (blockIdx.x == 0 && threadIdx.x == 0) *args.epoch = is_late ? kFirstEpoch : epoch + 1;
  }

  __device__ void run(const FusedLayer* layers) {
    embed();
    for (int l = 0; l < args.num_layers; ++l, ++epoch) {
      project_qkv(layers[l], l == 0 ? args.words.embedding : args.words.attention_input);
      attend(layers[l]);
      project_attention();
      feed_forward(layers[l]);
    }
    write_logits();
    set_next_epoch();
  }
};

// Model names the shape: a kernel's template arguments cannot be of a class type.
template <class Model>
__global__ void __launch_bounds__(kThreads, 1) decode_step(const __grid_constant__ FusedArgs args) {
  constexpr FusedShape kShape = Model::kShape;
  set_up<kShape>(args);
  if (threadIdx.x >= kConsumers) return produce<kShape>(args);
  int position = *args.step.positions;
  if (position < 0) return;
  SharedMemory<kShape>& shared = shared_memory<kShape>();
  DecodeStep<kShape> step{args,
                          shared,
                          make_ring<kShape>(args),
                          make_last_block<kShape>(),
                          shared.product.x,
                          shared.product.sums,
                          *args.epoch};
  begin_step<kShape>(args, position);
  step.run(shared_layers<kShape>());
}

// One of kRanks ranks that have a model together.
template <int kRanks, class Model>
struct SharedBy {
  static constexpr FusedShape kShape = Model::kShape.shared_by(kRanks);
};

template <class Model>
FusedKernel fused_kernel(int num_stages) {
  constexpr FusedShape kShape = Model::kShape;
  return {.shape = kShape,
          .function = reinterpret_cast<const void*>(decode_step<Model>),
          .num_threads = kThreads,
          .stage_bytes = Products<kShape>::kStageBytes,
          .num_stages = num_stages,
          .fixed_bytes = kSharedSlack + sizeof(SharedMemory<kShape>)};
}

}  // namespace ll::cuda
