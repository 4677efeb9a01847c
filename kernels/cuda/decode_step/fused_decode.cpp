// The host's side of the persistent decode kernels: which model has one, its buffers, the launch.
#include "kernels/cuda/decode_step/fused_decode.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "base/numbers.h"
#include "kernels/cuda/decode_step/kernels.h"
#include "kernels/cuda/device/cuda_check.h"
#include "kernels/cuda/device/cuda_device.h"
#include "kernels/cuda/device/workspace.h"
#include "kernels/tensor.h"

namespace ll::cuda {
namespace {

constexpr size_t kWordAlignment = 16;  // words; a line of the L2 cache

// ---- which model

// What the kernels take of a layer; a vector has one column. Another part they would leave out.
struct TakenPart {
  WeightPart part;
  int64_t rows, cols;
  bool has_bias = false;
};
std::array<TakenPart, 6> taken_parts(const FusedShape& s) {
  return {{{WeightPart::kInputNorm, s.hidden, 1},
           {WeightPart::kQkv, s.qkv_size(), s.hidden, /*has_bias=*/true},
           {WeightPart::kAttentionOut, s.hidden, s.query_size()},
           {WeightPart::kPostAttentionNorm, s.hidden, 1},
           {WeightPart::kGateUp, 2 * s.ffn, s.hidden},
           {WeightPart::kDown, s.hidden, s.ffn}}};
}
// The matrices in the order of their use, which is that of FusedLayer::weights.
constexpr WeightPart kMatrices[] = {WeightPart::kQkv, WeightPart::kAttentionOut,
                                    WeightPart::kGateUp, WeightPart::kDown};

bool has(const Weight& w, int64_t rows, int64_t cols) {
  return w.data.dtype == DType::bf16 && w.rows == rows && w.cols == cols &&
         w.data.numel() == rows * cols;
}
bool has(const TensorView& v, int64_t count) {
  return v.dtype == DType::bf16 && v.numel() == count;
}

bool is_aligned(const TensorView& v) { return ll::is_aligned(v.data, 16); }

bool fits(const FusedShape& s, const LayerOf<PartView>& parts) {
  int64_t given = std::count_if(parts.begin(), parts.end(),
                                [](const PartView& p) { return !p.weight.data.empty(); });
  std::array taken = taken_parts(s);
  auto is_there = [&](const TakenPart& t) {
    const PartView& p = parts[t.part];
    return has(p.weight, t.rows, t.cols) && is_aligned(p.weight.data) &&
           (t.has_bias ? has(p.bias, t.rows) : p.bias.empty());
  };
  return given == static_cast<int64_t>(taken.size()) &&
         std::all_of(taken.begin(), taken.end(), is_there);
}

bool fits(const FusedShape& s, const KvPages& kv, const Shape& pages) {
  auto is_right = [&](const TensorView& v) {
    return v.shape == pages && v.dtype == DType::bf16 && is_aligned(v);
  };
  return is_right(kv.k) && is_right(kv.v) && pages[1] == s.kv_heads && pages[2] == kPage &&
         pages[3] == s.head_dim;
}

bool fits(const FusedShape& s, const FusedDecodeModel& m, int num_ranks) {
  if (s.ranks != num_ranks || m.num_heads != s.heads || m.num_kv_heads != s.kv_heads ||
      m.head_dim != s.head_dim || m.layers.empty())
    return false;
  for (const FusedDecodeModel::Layer& l : m.layers)
    if (!fits(s, l.parts) || !fits(s, l.kv, m.layers[0].kv.k.shape)) return false;
  return has(m.embed, s.vocab, s.hidden) && has(m.lm_head, s.vocab, s.hidden) &&
         has(m.final_norm, s.hidden) && m.cos_sin.dtype == DType::f32 &&
         m.cos_sin.dim(1) == s.head_dim && is_aligned(m.lm_head.data) && is_aligned(m.final_norm);
}

const FusedKernel* kernel_for(const FusedDecodeModel& model, int num_ranks) {
  auto kernels = serves(KernelFamily::kSm90) ? fused_kernels<KernelFamily::kSm90>()
                                             : fused_kernels<KernelFamily::kSm80>();
  for (const FusedKernel* k : kernels)
    if (fits(k->shape, model, num_ranks)) return k;
  return nullptr;
}

// ---- the handle

struct FusedDecode {
  const void* kernel;
  int num_blocks, num_threads;
  size_t shared_bytes;
  int64_t max_positions;
  FusedArgs args;
  Tensor layers, epoch, room;  // a room of its own where it is the only rank
};

Tensor upload(const void* from, size_t bytes) {
  Tensor t(cuda_device(), DType::u8, {static_cast<int64_t>(bytes)});
  check(cudaMemcpy(t.view().data, from, bytes, cudaMemcpyHostToDevice));
  return t;
}

Tensor upload_layers(const FusedDecodeModel& model) {
  std::vector<FusedLayer> layers;
  for (const FusedDecodeModel::Layer& l : model.layers) {
    auto data_of = [&](WeightPart part) { return l.parts[part].weight.data.as<bf16>(); };
    FusedLayer& layer = layers.emplace_back();
    std::transform(std::begin(kMatrices), std::end(kMatrices), layer.weights, data_of);
    layer.input_norm = data_of(WeightPart::kInputNorm);
    layer.post_attention_norm = data_of(WeightPart::kPostAttentionNorm);
    layer.qkv_bias = l.parts[WeightPart::kQkv].bias.as<bf16>();
    layer.keys = l.kv.k.as<bf16>();
    layer.values = l.kv.v.as<bf16>();
  }
  return upload(layers.data(), layers.size() * sizeof(FusedLayer));
}

// The exchange's arrays, in their order in a room.
struct WordArray {
  uint64_t** begin;
  size_t count;
};
std::array<WordArray, 7> word_arrays(const FusedShape& s, FusedWords& words) {
  auto size = [](int n) { return round_up(static_cast<size_t>(n), kWordAlignment); };
  size_t stream = size(s.ranks * s.hidden);
  return {{{&words.embedding, stream},
           {&words.attention_input, stream},
           {&words.qkv, size(s.qkv_size())},
           {&words.parts, round_up(num_part_words(s), kWordAlignment)},
           {&words.attention, size(s.query_size())},
           {&words.mlp_input, stream},
           {&words.act, size(s.ffn / 2)}}};
}

size_t room_bytes(const FusedShape& s) {
  FusedWords words{};
  size_t count = 0;
  for (const WordArray& a : word_arrays(s, words)) count += a.count;
  return count * sizeof(uint64_t);
}

void place_words(const FusedShape& s, void* room, FusedWords& words) {
  auto* at = static_cast<uint64_t*>(room);
  for (const WordArray& a : word_arrays(s, words)) {
    *a.begin = at;
    at += a.count;
  }
}

size_t room_bytes(const FusedDecodeModel& model, int num_ranks) {
  const FusedKernel* k = kernel_for(model, num_ranks);
  return k ? room_bytes(k->shape) : 0;
}

// Where the words go: among the ranks' rooms, or in a room of the handle's.
void take_room(const FusedShape& s, const FusedDecodeRanks& ranks, FusedDecode& handle) {
  FusedArgs& args = handle.args;
  std::vector<void*> rooms = ranks.rooms;
  if (rooms.empty()) {
    handle.room = Tensor(cuda_device(), DType::u8, {static_cast<int64_t>(room_bytes(s))});
    rooms = {handle.room.view().data};
    check(cudaMemset(rooms[0], 0, handle.room.bytes()));
  }
  args.rank = ranks.rank;
  args.vocab_begin = static_cast<int>(ranks.vocab_begin);
  auto* own = static_cast<char*>(rooms[static_cast<size_t>(ranks.rank)]);
  for (size_t r = 0; r < rooms.size(); ++r) args.rooms[r] = static_cast<char*>(rooms[r]) - own;
  place_words(s, own, args.words);
}

// The shape's choice, or as many as fit; 0: not even two fit.
int stages_of(const FusedKernel& k, int num_layers) {
  int stages = k.num_stages;
  while (stages > 0 &&
         k.shared_bytes(num_layers, stages) > static_cast<size_t>(most_shared_bytes()))
    --stages;
  return stages >= 2 ? stages : 0;
}

void* create(const FusedDecodeModel& model) {
  const FusedKernel* k = kernel_for(model, std::max(1, static_cast<int>(model.ranks.rooms.size())));
  int num_blocks = model.ranks.num_blocks > 0 ? model.ranks.num_blocks : num_sms();
  if (!k || num_blocks < k->shape.min_blocks || num_blocks > kMaxBlocks) return nullptr;
  auto num_layers = static_cast<int>(model.layers.size());
  int stages = stages_of(*k, num_layers);
  if (stages == 0) return nullptr;

  auto handle = std::make_unique<FusedDecode>();
  handle->kernel = k->function;
  handle->num_blocks = num_blocks;
  handle->num_threads = k->num_threads;
  handle->shared_bytes = k->shared_bytes(num_layers, stages);
  handle->max_positions = std::min<int64_t>(kMaxPositions, model.cos_sin.dim(0));
  handle->layers = upload_layers(model);
  handle->epoch = upload(&model.first_epoch, sizeof(uint32_t));
  FusedArgs& args = handle->args;
  take_room(k->shape, model.ranks, *handle);
  args.layers = static_cast<const FusedLayer*>(handle->layers.view().data);
  args.embed = model.embed.data.as<bf16>();
  args.lm_head = model.lm_head.data.as<bf16>();
  args.final_norm = model.final_norm.as<bf16>();
  args.cos_sin = model.cos_sin.as<float>();
  args.epoch = static_cast<uint32_t*>(handle->epoch.view().data);
  args.eps = model.eps;
  args.num_layers = num_layers;
  args.num_stages = stages;

  int resident = 0;
  check(cudaFuncSetAttribute(handle->kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             static_cast<int>(handle->shared_bytes)));
  check(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&resident, handle->kernel, k->num_threads,
                                                      handle->shared_bytes));
  check(cudaDeviceSynchronize());  // the copies are not in the order of the steps' stream
  return resident > 0 ? handle.release() : nullptr;
}

void destroy(void* handle) { delete static_cast<FusedDecode*>(handle); }

int64_t max_positions(const void* handle) {
  return static_cast<const FusedDecode*>(handle)->max_positions;
}

// Blocks wait for each other, so all must be resident: there is at most one for each SM, and a
// cooperative launch starts all of them or none. Ranks that share a device have to run at a time.
void run(Stream stream, void* handle, const FusedDecodeStep& step) {
  auto* h = static_cast<FusedDecode*>(handle);
  FusedArgs args = h->args;
  args.step = step;
  void* params[] = {&args};
  cudaLaunchAttribute cooperative;
  cooperative.id = cudaLaunchAttributeCooperative;
  cooperative.val.cooperative = h->num_blocks == num_sms() ? 1 : 0;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>(h->num_blocks));
  config.blockDim = dim3(static_cast<unsigned>(h->num_threads));
  config.dynamicSmemBytes = h->shared_bytes;
  config.stream = cuda_stream(stream);
  config.attrs = &cooperative;
  config.numAttrs = 1;
  check(cudaLaunchKernelExC(&config, h->kernel, params));
}

}  // namespace

const FusedDecodeApi& fused_decode_api() {
  static const FusedDecodeApi api{room_bytes, create, destroy, max_positions, run};
  return api;
}

}  // namespace ll::cuda
