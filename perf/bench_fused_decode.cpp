// Speed of a whole decode step of one sequence as one kernel, beside its floor: reading all weights
// and the sequence's keys and values once. Of several ranks, one alone is timed, which hears from
// itself in the others' place: the step without what the links between GPUs take.
// usage: bench_fused_decode [--models 0.5b,7b] [--contexts 1,4096] [--ranks 1,2]
#include <fmt/core.h>

#include "perf/graph_timer.h"

using namespace ll;
using namespace ll::perf;

namespace {

constexpr int64_t kPageSize = 64, kMaxLength = 32768;
constexpr int kCalls = 10, kRounds = 3;

struct Depth {
  const char* name;
  int64_t layers;
  bool is_tied;
};
constexpr Depth kDepths[] = {
    {"0.5b", 24, true}, {"1.5b", 28, true}, {"3b", 36, true}, {"7b", 28, false}};

ModelShape shared_by(ModelShape m, int ranks) {
  m.ffn /= ranks;
  m.heads /= ranks;
  m.kv_heads /= ranks;
  m.vocab /= ranks;
  return m;
}

// What a rank has of a model with all its layers, and pages for a sequence of kMaxLength positions.
class Bench {
 public:
  Bench(const Backend& backend, const GraphTimer& timer, const ModelShape& model,
        const Depth& depth, int ranks);
  ~Bench() {
    if (handle_) backend_.fused_decode->destroy(handle_);
  }
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  void run(int64_t context);

 private:
  Tensor random(Shape shape, double scale);
  Tensor upload(const std::vector<int32_t>& values);
  Weight weight(int64_t rows, int64_t cols);
  FusedDecodeModel::Layer layer();
  void hear_itself();
  int64_t bytes(int64_t context) const;

  const Backend& backend_;
  const GraphTimer& timer_;
  ModelShape m_;
  int ranks_;
  FusedDecodeModel model_;
  std::vector<Tensor> memory_;
  Tensor ids_, table_, slots_, logits_;
  int64_t weight_bytes_ = 0;
  uint64_t seed_ = 0;
  void* handle_ = nullptr;
};

Tensor Bench::random(Shape shape, double scale) {
  memory_.emplace_back(backend_.device, DType::bf16, shape);
  backend_.ops.fill_random(timer_.stream(), memory_.back(), ++seed_, static_cast<float>(scale), 0,
                           0, shape.rank() > 1 ? shape.numel() / shape[0] : 1);
  return memory_.back();
}

Tensor Bench::upload(const std::vector<int32_t>& values) {
  Tensor t(backend_.device, DType::i32, {static_cast<int64_t>(values.size())});
  backend_.device.copy(timer_.stream(), t.view().data, values.data(), t.bytes());
  backend_.device.synchronize(timer_.stream());
  return t;
}

Weight Bench::weight(int64_t rows, int64_t cols) {
  Tensor storage, natural = random({rows, cols}, 0.05);
  Weight w = backend_.ops.pack_weight(timer_.stream(), natural, storage);
  memory_.push_back(storage);
  return w;
}

FusedDecodeModel::Layer Bench::layer() {
  int64_t queries = m_.heads * m_.head_dim, qkv = queries + 2 * m_.kv_heads * m_.head_dim;
  FusedDecodeModel::Layer l;
  for (WeightPart norm : {WeightPart::kInputNorm, WeightPart::kPostAttentionNorm})
    l.parts[norm].weight = {random({m_.hidden}, 1), m_.hidden, 1};
  l.parts[WeightPart::kQkv].weight = weight(qkv, m_.hidden);
  l.parts[WeightPart::kQkv].bias = random({qkv}, 1);
  l.parts[WeightPart::kAttentionOut].weight = weight(m_.hidden, queries);
  l.parts[WeightPart::kGateUp].weight = weight(2 * m_.ffn, m_.hidden);
  l.parts[WeightPart::kDown].weight = weight(m_.hidden, m_.ffn);
  Shape pages{kMaxLength / kPageSize, m_.kv_heads, kPageSize, m_.head_dim};
  TensorView keys = random({pages[0], pages.numel() / pages[0]}, 1),
             values = random({pages[0], pages.numel() / pages[0]}, 1);
  l.kv = {keys.reshaped(pages), values.reshaped(pages)};
  for (const PartView& part : l.parts)
    if (part.weight.cols > 1) weight_bytes_ += static_cast<int64_t>(part.weight.data.bytes());
  return l;
}

// Rank r's words of the residual stream lie r rows behind rank 0's, so a room that begins so much
// later has rank 0's in their place.
void Bench::hear_itself() {
  auto bytes = static_cast<int64_t>(backend_.fused_decode->room_bytes(model_, ranks_));
  memory_.emplace_back(backend_.device, DType::u8, Shape{std::max<int64_t>(bytes, 16)});
  backend_.device.fill(timer_.stream(), memory_.back().view().data, 0, memory_.back().bytes());
  for (int r = 0; r < ranks_; ++r)
    model_.ranks.rooms.push_back(static_cast<uint64_t*>(memory_.back().view().data) +
                                 r * m_.hidden);
}

Bench::Bench(const Backend& backend, const GraphTimer& timer, const ModelShape& model,
             const Depth& depth, int ranks)
    : backend_(backend), timer_(timer), m_(shared_by(model, ranks)), ranks_(ranks) {
  model_.num_heads = static_cast<int32_t>(m_.heads);
  model_.num_kv_heads = static_cast<int32_t>(m_.kv_heads);
  model_.head_dim = static_cast<int32_t>(m_.head_dim);
  model_.eps = 1e-6f;
  model_.embed = weight(m_.vocab, m_.hidden);
  model_.lm_head = depth.is_tied ? model_.embed : weight(m_.vocab, m_.hidden);
  model_.final_norm = random({m_.hidden}, 1);
  memory_.emplace_back(backend_.device, DType::f32, Shape{kMaxLength, m_.head_dim});
  model_.cos_sin = memory_.back();
  backend_.ops.fill_random(timer_.stream(), model_.cos_sin, ++seed_, 1, 0, 0, m_.head_dim);
  weight_bytes_ = static_cast<int64_t>(model_.lm_head.data.bytes());
  for (int64_t l = 0; l < depth.layers; ++l) model_.layers.push_back(layer());
  std::vector<int32_t> pages;  // in an order that is not memory's; 229 is prime
  for (int64_t i = 0; i < kMaxLength / kPageSize; ++i)
    pages.push_back(static_cast<int32_t>(i * 229 % (kMaxLength / kPageSize)));
  ids_ = upload({17}), slots_ = upload({0}), table_ = upload(pages);
  logits_ = Tensor(backend_.device, DType::f32, {m_.vocab});
  if (ranks > 1) hear_itself();
  backend_.device.synchronize(timer_.stream());
  handle_ = backend_.fused_decode->create(model_);
}

int64_t Bench::bytes(int64_t context) const {
  return weight_bytes_ +
         4 * context * m_.kv_heads * m_.head_dim * static_cast<int64_t>(model_.layers.size());
}

void Bench::run(int64_t context) {
  if (!handle_) return fmt::print("{:5} no kernel on {} ranks\n", m_.name, ranks_);
  auto ints = [](const Tensor& t) { return static_cast<const int32_t*>(t.view().data); };
  Tensor position = upload({static_cast<int32_t>(context)});
  FusedDecodeStep step{ints(ids_),
                       ints(ids_),
                       ints(position),
                       ints(slots_),
                       ints(table_),
                       table_.view().dim(0),
                       logits_.view().as<float>()};
  double us = 0;
  for (int round = 0; round < kRounds; ++round) {
    double time = timer_.microseconds(
        kCalls, [&](int) { backend_.fused_decode->run(timer_.stream(), handle_, step); });
    us = round == 0 ? time : std::min(us, time);
  }
  double gbs = static_cast<double>(bytes(context)) / us / 1e3;
  fmt::print("{:5} {} {:6} {:9.1f} us {:7.1f} tok/s {:7.0f} GB/s {:5.1f}%\n", m_.name, ranks_,
             context, us, 1e6 / us, gbs, gbs / kReadTbs / 10);
  std::fflush(stdout);
}

int run(int argc, char** argv) {
  auto models = list_option(argc, argv, "models"), contexts = list_option(argc, argv, "contexts"),
       ranks = list_option(argc, argv, "ranks");
  if (ranks.empty()) ranks = {"1"};
  if (contexts.empty()) contexts = {"1", "600", "4096", "16384"};
  Backend backend = open_backend(BackendKind::kCuda, 0, 0);
  check(backend.fused_decode != nullptr, "no kernel for whole decode steps on this device");
  GraphTimer timer(backend);
  fmt::print("{}; floor {} TB/s\nmodel ranks context\n", backend.device_name, kReadTbs);
  for (const ModelShape& model : kModels)
    for (const Depth& depth : kDepths) {
      if (!names(models, model.name) || std::string(depth.name) != model.name) continue;
      for (const std::string& count : ranks) {
        Bench bench(backend, timer, model, depth, std::stoi(count));
        for (const std::string& context : contexts) bench.run(std::stoll(context));
      }
    }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& e) {
    fmt::print(stderr, "bench_fused_decode: {}\n", e.what());
    return 1;
  }
}
