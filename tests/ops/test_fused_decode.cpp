#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tests/ops/norm_eps.h"
#include "tests/support/compare.h"
#include "tests/support/device.h"

// The decode step of one kernel against the same step done by the ops, both on the backend under
// test: logits, new keys and values, and what neither may touch.
using namespace ll;
using namespace ll::test;

namespace {

struct ModelShape {
  int64_t hidden, ffn, heads, kv_heads, dim, vocab, layers;
  bool is_tied = true;

  int64_t qkv_rows() const { return (heads + 2 * kv_heads) * dim; }
};
constexpr ModelShape k05b{896, 4864, 14, 2, 64, 151936, 3}, k15b{1536, 8960, 12, 2, 128, 151936, 2},
    k3b{2048, 11008, 16, 2, 128, 151936, 2}, k7b{3584, 18944, 28, 4, 128, 152064, 2, false},
    kTiny{512, 2048, 8, 4, 64, 4096, 3, false};

constexpr int64_t kPageSize = 64, kMaxLength = 20032, kNumSlots = 3, kSlot = 2;
constexpr int64_t kStride = kMaxLength / kPageSize, kNumPages = kStride + 5;
constexpr int kSteps = 3;  // of a sequence

// The ops round the residual stream and every product to bfloat16, the kernel hardly ever does.
constexpr double kLogitsError = 2e-2, kKvError = 2e-2;

Tensor random_tensor(Shape shape, uint64_t seed, double scale) {
  Tensor t(backend().device, DType::bf16, shape);
  backend().ops.fill_random(stream(), t, seed, static_cast<float>(scale), 0, 0,
                            shape.rank() > 1 ? shape[1] : 1);
  return t;
}

struct Layer {
  Tensor input_norm, qkv, qkv_bias, o, post_attention_norm, gate_up, down;
  Weight qkv_weight, o_weight, gate_up_weight, down_weight;
};

Weight packed(Tensor& natural) {
  Tensor storage;
  Weight w = backend().ops.pack_weight(stream(), natural, storage);
  natural = storage;
  return w;
}

// Scales such that queries, activations and each block's share of the residual stream are of size
// one or so: an error in any of them shows in the logits.
Layer random_layer(const ModelShape& m, uint64_t seed) {
  auto root = [](int64_t n) { return std::sqrt(static_cast<double>(n)); };
  Layer l;
  l.input_norm = random_tensor({m.hidden}, seed, 1);
  l.qkv = random_tensor({m.qkv_rows(), m.hidden}, seed + 1, 3 / root(m.hidden));
  l.qkv_bias = random_tensor({m.qkv_rows()}, seed + 2, 0.5);
  l.o = random_tensor({m.hidden, m.heads * m.dim}, seed + 3, 1.5 / root(m.heads * m.dim));
  l.post_attention_norm = random_tensor({m.hidden}, seed + 4, 1);
  l.gate_up = random_tensor({2 * m.ffn, m.hidden}, seed + 5, 3 / root(m.hidden));
  l.down = random_tensor({m.hidden, m.ffn}, seed + 6, 2.6 / root(m.ffn));
  l.qkv_weight = packed(l.qkv);
  l.o_weight = packed(l.o);
  l.gate_up_weight = packed(l.gate_up);
  l.down_weight = packed(l.down);
  return l;
}

Tensor angles(int64_t dim) {
  std::vector<float> table;
  for (int64_t p = 0; p < kMaxLength; ++p)
    for (int64_t i = 0; i < dim; ++i) {
      double angle =
          static_cast<double>(p) *
          std::pow(1e6, -2.0 * static_cast<double>(i % (dim / 2)) / static_cast<double>(dim));
      table.push_back(static_cast<float>(i < dim / 2 ? std::cos(angle) : std::sin(angle)));
    }
  return upload(table, {kMaxLength, dim}, DType::f32);
}

// One side's keys and values of all layers.
struct Pools {
  Shape shape;
  std::vector<Tensor> k, v;

  explicit Pools(const ModelShape& m) : shape{kNumPages, m.kv_heads, kPageSize, m.dim} {
    for (int64_t l = 0; l < m.layers; ++l) {
      k.emplace_back(backend().device, DType::bf16, shape);
      v.emplace_back(backend().device, DType::bf16, shape);
    }
  }
  KvPages layer(size_t l) const { return {k[l], v[l]}; }
  std::vector<TensorView> all() const {
    std::vector<TensorView> pools(k.begin(), k.end());
    pools.insert(pools.end(), v.begin(), v.end());
    return pools;
  }
  // Where a position's line of a KV head begins.
  size_t offset(int64_t page, int64_t head, int64_t position) const {
    return static_cast<size_t>(((page * shape[1] + head) * kPageSize + position % kPageSize) *
                               shape[3]);
  }
};

struct Step {
  int32_t position, id;
  bool by_slot = false, by_graph = false;
};

// A model, and two sequences of it that should stay the same: the kernel's and the ops'.
class Rig {
 public:
  Rig(const ModelShape& m, uint32_t first_epoch);
  ~Rig();

  // Positions [0, length) are random, the rest of the pools is NaN. Long sequences have larger
  // values: the mean over many would hardly change when some are missing.
  void begin(int64_t length);
  void step(const Step& s);
  // Nothing but the new lines has changed on either side.
  void check_pools();
  void skip_step();

 private:
  void set_inputs(const Step& s);
  BatchView batch() const;
  FusedDecodeStep fused_step() const;
  void run_fused(bool by_graph);
  void run_ops();
  void add_and_norm(const Tensor* delta, const Tensor& gain);
  void check_new_lines(int64_t position);

  const ModelShape& m_;
  std::vector<Layer> layers_;
  Tensor embed_, head_, final_norm_, angles_;
  Weight embed_weight_, head_weight_;
  Pools fused_, plain_;
  std::vector<int32_t> pages_;  // of the sequence
  int64_t position_ = 0;
  Tensor table_, ids_, last_tokens_, positions_, slots_, fused_logits_, logits_;
  Tensor residual_, normed_, qkv_, attention_, partial_, act_;
  void* handle_ = nullptr;
  Graph graph_{};
};

FusedDecodeModel model_of(const ModelShape& m, const std::vector<Layer>& layers, Weight embed,
                          Weight head, const Tensor& norm, const Tensor& angles, const Pools& kv) {
  FusedDecodeModel model{.num_heads = static_cast<int32_t>(m.heads),
                         .num_kv_heads = static_cast<int32_t>(m.kv_heads),
                         .head_dim = static_cast<int32_t>(m.dim),
                         .eps = kNormEps,
                         .embed = embed,
                         .lm_head = head,
                         .final_norm = norm,
                         .cos_sin = angles};
  for (size_t l = 0; l < layers.size(); ++l) {
    const Layer& w = layers[l];
    FusedDecodeModel::Layer& to = model.layers.emplace_back();
    to.parts[WeightPart::kInputNorm].weight = {w.input_norm, m.hidden, 1};
    to.parts[WeightPart::kQkv] = {w.qkv_weight, w.qkv_bias};
    to.parts[WeightPart::kAttentionOut].weight = w.o_weight;
    to.parts[WeightPart::kPostAttentionNorm].weight = {w.post_attention_norm, m.hidden, 1};
    to.parts[WeightPart::kGateUp].weight = w.gate_up_weight;
    to.parts[WeightPart::kDown].weight = w.down_weight;
    to.kv = kv.layer(l);
  }
  return model;
}

Rig::Rig(const ModelShape& m, uint32_t first_epoch)
    : m_(m), angles_(angles(m.dim)), fused_(m), plain_(m) {
  for (int64_t l = 0; l < m.layers; ++l)
    layers_.push_back(random_layer(m, static_cast<uint64_t>(100 * (l + 1))));
  embed_ = random_tensor({m.vocab, m.hidden}, 1, 1);
  embed_weight_ = head_weight_ = packed(embed_);
  if (!m.is_tied) {
    head_ = random_tensor({m.vocab, m.hidden}, 2, 1);
    head_weight_ = packed(head_);
  }
  final_norm_ = random_tensor({m.hidden}, 3, 1);
  // The sequence has shuffled pages; other slots have some that it has not.
  std::vector<int32_t> pages(kNumPages), table;
  std::iota(pages.begin(), pages.end(), 0);
  std::shuffle(pages.begin(), pages.end(), std::mt19937(7));
  pages_.assign(pages.begin(), pages.begin() + kStride);
  for (int64_t i = 0; i < kSlot * kStride; ++i)
    table.push_back(pages[static_cast<size_t>(kStride + i % (kNumPages - kStride))]);
  table.insert(table.end(), pages_.begin(), pages_.end());
  table_ = upload_ints(table);
  ids_ = upload_ints({0}), positions_ = upload_ints({0}), slots_ = upload_ints({kSlot});
  last_tokens_ = upload_ints({0, 0, 0});
  auto row = [](int64_t width) { return poisoned({1, width}, DType::bf16); };
  residual_ = row(m.hidden), normed_ = row(m.hidden), partial_ = row(m.hidden);
  qkv_ = row(m.qkv_rows()), attention_ = row(m.heads * m.dim), act_ = row(m.ffn);
  logits_ = poisoned({1, m.vocab}, DType::f32), fused_logits_ = poisoned({1, m.vocab}, DType::f32);
  FusedDecodeModel model =
      model_of(m, layers_, embed_weight_, head_weight_, final_norm_, angles_, fused_);
  model.first_epoch = first_epoch;
  finish();
  handle_ = backend().fused_decode->create(model);
  REQUIRE(handle_ != nullptr);
  CHECK(backend().fused_decode->max_positions(handle_) == kMaxLength);
  model.num_heads -= 1;
  CHECK(backend().fused_decode->create(model) == nullptr);
  model.num_heads += 1;
  model.layers.back().parts[WeightPart::kDown].bias = final_norm_;  // which it would leave out
  CHECK(backend().fused_decode->create(model) == nullptr);
}

Rig::~Rig() {
  finish();
  if (graph_.handle) backend().graphs->destroy(graph_);
  if (handle_) backend().fused_decode->destroy(handle_);
}

void Rig::begin(int64_t length) {
  double value_scale = std::max(1.0, 0.5 * std::sqrt(static_cast<double>(length)));
  for (const Pools* side : {&fused_, &plain_}) {
    std::vector<TensorView> pools = side->all();
    for (size_t i = 0; i < pools.size(); ++i) {
      bool is_keys = i < pools.size() / 2;
      TensorView lines = pools[i].reshaped({kNumPages * m_.kv_heads * kPageSize, m_.dim});
      backend().ops.fill_random(stream(), lines, 50 + i,
                                static_cast<float>(is_keys ? 2.5 : value_scale), 0, 0, m_.dim);
      auto spoil = [&](int64_t page, int64_t from) {
        for (int64_t h = 0; h < m_.kv_heads; ++h)
          backend().device.fill(stream(), pools[i].as<bf16>() + side->offset(page, h, from), 0xff,
                                static_cast<size_t>((kPageSize - from) * m_.dim) * sizeof(bf16));
      };
      std::vector<bool> is_whole(kNumPages);
      for (int64_t p = 0; p < length / kPageSize; ++p)
        is_whole[static_cast<size_t>(pages_[static_cast<size_t>(p)])] = true;
      auto last = pages_[static_cast<size_t>(length / kPageSize)];
      for (int64_t page = 0; page < kNumPages; ++page)
        if (!is_whole[static_cast<size_t>(page)])
          spoil(page, page == last ? length % kPageSize : 0);
    }
  }
  finish();
}

template <class T>
void set(const Tensor& t, const std::vector<T>& values) {
  backend().device.copy(stream(), t.view().data, values.data(), values.size() * sizeof(T));
  finish();
}

void Rig::set_inputs(const Step& s) {
  position_ = s.position;
  int32_t other = (s.id + 1) % static_cast<int32_t>(m_.vocab);
  set<int32_t>(positions_, {s.position});
  set<int32_t>(ids_, {s.by_slot ? ~static_cast<int32_t>(kSlot) : s.id});
  set<int32_t>(last_tokens_, {other, other, s.by_slot ? s.id : other});
  backend().device.fill(stream(), fused_logits_.view().data, 0xff, fused_logits_.bytes());
  backend().device.fill(stream(), logits_.view().data, 0xff, logits_.bytes());
}

BatchView Rig::batch() const {
  return {1,
          1,
          data_of<int32_t>(positions_),
          data_of<int32_t>(slots_),
          data_of<int32_t>(table_),
          kStride,
          {},
          nullptr,
          static_cast<int32_t>(kMaxLength)};
}

FusedDecodeStep Rig::fused_step() const {
  BatchView b = batch();
  return {
      data_of<int32_t>(ids_), data_of<int32_t>(last_tokens_), b.positions, b.slots, b.page_table,
      b.page_table_stride,    data_of<float>(fused_logits_)};
}

void Rig::run_fused(bool by_graph) {
  if (!by_graph) return backend().fused_decode->run(stream(), handle_, fused_step());
  if (!graph_.handle) {
    backend().graphs->begin_capture(stream());
    backend().fused_decode->run(stream(), handle_, fused_step());
    graph_ = backend().graphs->end_capture(stream());
  }
  backend().graphs->launch(graph_, stream());
}

void Rig::add_and_norm(const Tensor* delta, const Tensor& gain) {
  backend().ops.add_rms_norm(
      stream(), {normed_, residual_, delta ? delta->view() : TensorView{}, gain, kNormEps});
}

void Rig::run_ops() {
  const Ops& ops = backend().ops;
  auto heads = static_cast<int32_t>(m_.heads), kv_heads = static_cast<int32_t>(m_.kv_heads);
  ops.begin_step(stream(), batch(), {heads, kv_heads, static_cast<int32_t>(m_.dim)});
  ops.embed(stream(),
            {residual_, embed_weight_, data_of<int32_t>(ids_), data_of<int32_t>(last_tokens_), 0});
  for (size_t l = 0; l < layers_.size(); ++l) {
    const Layer& w = layers_[l];
    KvPages kv = plain_.layer(l);
    add_and_norm(l > 0 ? &partial_ : nullptr, w.input_norm);
    ops.linear(stream(), {qkv_, normed_, w.qkv_weight, w.qkv_bias});
    ops.rope_and_store_kv(stream(), {qkv_, angles_, kv, batch(), heads, kv_heads});
    ops.attention(stream(), {attention_, qkv_, kv, batch(), heads, kv_heads});
    ops.linear(stream(), {partial_, attention_, w.o_weight, {}});
    add_and_norm(&partial_, w.post_attention_norm);
    ops.linear(stream(), {act_, normed_, w.gate_up_weight, {}, Ending::silu_and_mul()});
    ops.linear(stream(), {partial_, act_, w.down_weight, {}});
  }
  add_and_norm(&partial_, final_norm_);
  ops.linear(stream(), {logits_, normed_, head_weight_, {}});
}

// Each layer's new keys and values are near the ops'; then the kernel's become the ops'.
void Rig::check_new_lines(int64_t position) {
  int64_t page = pages_[static_cast<size_t>(position / kPageSize)];
  std::vector<TensorView> got = fused_.all(), want = plain_.all();
  auto count = static_cast<size_t>(m_.dim);
  for (size_t i = 0; i < got.size(); ++i)
    for (int64_t h = 0; h < m_.kv_heads; ++h) {
      bf16 *to = got[i].as<bf16>() + fused_.offset(page, h, position),
           *from = want[i].as<bf16>() + plain_.offset(page, h, position);
      auto x = download<bf16>(to, count), y = download<bf16>(from, count);
      CAPTURE(i);
      CAPTURE(h);
      CHECK(relative_error(std::span<const bf16>(x), std::span<const bf16>(y)) < kKvError);
      backend().device.copy(stream(), to, from, count * sizeof(bf16));
    }
}

void Rig::step(const Step& s) {
  CAPTURE(s.position);
  CAPTURE(s.by_graph);
  set_inputs(s);
  run_fused(s.by_graph);
  run_ops();
  auto got = download_floats(fused_logits_), want = download_floats(logits_);
  double error = relative_error(std::span<const float>(got), std::span<const float>(want));
  CHECK(error < kLogitsError);
  check_new_lines(s.position);
}

void Rig::skip_step() {
  set_inputs({.position = -1, .id = 5});
  for (bool by_graph : {false, true}) run_fused(by_graph);
  auto logits = download<uint32_t>(fused_logits_.view().data, static_cast<size_t>(m_.vocab));
  CHECK(std::count(logits.begin(), logits.end(), 0xffffffffu) == m_.vocab);
}

void Rig::check_pools() {
  std::vector<TensorView> got = fused_.all(), want = plain_.all();
  for (size_t i = 0; i < got.size(); ++i) {
    auto count = static_cast<size_t>(got[i].numel());
    CHECK(download<uint16_t>(got[i].data, count) == download<uint16_t>(want[i].data, count));
  }
}

// Steps one after the other from each length on, at first by a launch, then by a graph.
void check_lengths(const ModelShape& m, const std::vector<int64_t>& lengths,
                   uint32_t first_epoch = 1) {
  if (!backend().fused_decode) return;
  Rig rig(m, first_epoch);
  int32_t id = 11;
  for (int64_t length : lengths) {
    CAPTURE(length);
    rig.begin(length);
    for (int i = 0; i < kSteps; ++i) {
      id = (id * 7919 + 13) % static_cast<int32_t>(m.vocab);
      rig.step({static_cast<int32_t>(length) + i, id, i % 2 == 1, i > 0});
      if (i == 1) rig.skip_step();
    }
    rig.check_pools();
  }
}

const std::vector<int64_t> kLengths{0, 1, 30, 31, 32, 33, 62, 63, 64, 65, 600, 4095, 20000};

}  // namespace

TEST_CASE("a decode step in one kernel, 0.5B") { check_lengths(k05b, kLengths); }
TEST_CASE("a decode step in one kernel, 1.5B") { check_lengths(k15b, kLengths); }
TEST_CASE("a decode step in one kernel, 3B") { check_lengths(k3b, kLengths); }
TEST_CASE("a decode step in one kernel, 7B") { check_lengths(k7b, kLengths); }
TEST_CASE("a decode step in one kernel, a tiny model") { check_lengths(kTiny, kLengths); }

// What racecheck can watch in a minute: no position before, and a block of positions in the ring.
TEST_CASE("a decode step in one kernel, few steps") { check_lengths(k05b, {0, 5000}); }

TEST_CASE("a decode step in one kernel where its count of steps starts anew") {
  // A step takes as many epochs as layers and one more: the second step is the last of the old.
  check_lengths(k05b, {2000, 40, 4000}, /*first_epoch=*/0xfffefffb);
}
