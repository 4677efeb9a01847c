#include <doctest/doctest.h>

#include <chrono>
#include <cmath>
#include <numeric>
#include <thread>

#include "kernels/cuda/device/cuda_device.h"
#include "tests/ops/norm_eps.h"
#include "tests/support/compare.h"
#include "tests/support/device.h"

// The decode step of one kernel on ranks that share out a model, against the same on one rank. All
// ranks run beside each other on the GPU, some multiprocessors each.
using namespace ll;
using namespace ll::test;

namespace {

// The whole model, as the kernels' tiny shape.
constexpr int64_t kHidden = 512, kFfn = 2048, kHeads = 8, kKvHeads = 4, kDim = 64, kVocab = 4096;
constexpr int64_t kQueries = kHeads * kDim, kKeys = kKvHeads * kDim;
constexpr int64_t kLayers = 3, kPageSize = 64, kNumPages = 12, kMaxLength = kNumPages * kPageSize;
constexpr int kBlocks = 32;  // of a rank

// Sums over ranks run in another order, so that some activations are rounded the other way.
constexpr double kError = 1e-2;

constexpr double root(int64_t n) { return std::sqrt(static_cast<double>(n)); }

// Rank `rank` of `size`, and its part of n.
struct Part {
  int64_t rank, size;
  int64_t of(int64_t n) const { return n / size; }
  int64_t begin(int64_t n) const { return rank * of(n); }
};

// Rows from row0 on, and columns from col0 on, of the matrix that the seed says.
void fill(TensorView to, uint64_t seed, double scale, int64_t row0, int64_t col0, int64_t cols) {
  backend().ops.fill_random(stream(), to, seed, static_cast<float>(scale), row0, col0, cols);
}

// What one rank has of the model, and its step's inputs and outputs.
class Rank {
 public:
  explicit Rank(Part part);
  ~Rank();
  Rank(const Rank&) = delete;
  Rank& operator=(const Rank&) = delete;

  size_t room_bytes() const {
    return backend().fused_decode->room_bytes(model_, static_cast<int>(part_.size));
  }
  void create(const std::vector<void*>& rooms, uint32_t first_epoch);
  void set_step(int64_t position, int32_t id);
  void launch() { backend().fused_decode->run(stream_, handle_, step_); }
  void finish_step() { backend().device.synchronize(stream_); }
  bool is_done();
  std::vector<float> logits() { return download_floats(logits_); }
  // The position's lines of this rank's heads, of all layers' keys, then values.
  std::vector<bf16> lines(int64_t position);

 private:
  Tensor matrix(uint64_t seed, double scale, int64_t rows, int64_t cols, int64_t row0, int64_t col0,
                int64_t all_cols);
  Tensor qkv(uint64_t seed, double scale, int64_t cols);
  Tensor pool(uint64_t seed);
  Weight packed(Tensor natural, int64_t rows, int64_t cols);
  void add_layer(uint64_t seed);

  Part part_;
  Stream stream_;
  FusedDecodeModel model_;
  std::vector<Tensor> memory_, pools_;
  Tensor table_, slots_, ids_, position_, logits_;
  FusedDecodeStep step_{};
  Event launched_;
  void* handle_ = nullptr;
};

Tensor Rank::matrix(uint64_t seed, double scale, int64_t rows, int64_t cols, int64_t row0,
                    int64_t col0, int64_t all_cols) {
  Tensor t(backend().device, DType::bf16, {rows, cols});
  fill(t, seed, scale, row0, col0, all_cols);
  return t;
}

// The rows of this rank's query heads, then of its keys' and values'.
Tensor Rank::qkv(uint64_t seed, double scale, int64_t cols) {
  int64_t queries = part_.of(kQueries), keys = part_.of(kKeys);
  Tensor t(backend().device, DType::bf16, {queries + 2 * keys, cols});
  fill(t.view().rows(0, queries), seed, scale, part_.begin(kQueries), 0, cols);
  fill(t.view().rows(queries, keys), seed, scale, kQueries + part_.begin(kKeys), 0, cols);
  fill(t.view().rows(queries + keys, keys), seed, scale, kQueries + kKeys + part_.begin(kKeys), 0,
       cols);
  return t;
}

// Pages of this rank's heads.
Tensor Rank::pool(uint64_t seed) {
  int64_t heads = part_.of(kKvHeads);
  Tensor t(backend().device, DType::bf16, {kNumPages * heads * kPageSize, kDim});
  for (int64_t page = 0; page < kNumPages; ++page)
    fill(t.view().rows(page * heads * kPageSize, heads * kPageSize), seed, 2.5,
         (page * kKvHeads + part_.begin(kKvHeads)) * kPageSize, 0, kDim);
  return t;
}

Weight Rank::packed(Tensor natural, int64_t rows, int64_t cols) {
  Tensor storage;
  Weight w = backend().ops.pack_weight(stream(), natural, storage);
  CHECK((w.rows == rows && w.cols == cols));
  memory_.push_back(storage);
  return w;
}

// Scaled as in test_fused_decode.cpp.
void Rank::add_layer(uint64_t seed) {
  FusedDecodeModel::Layer& layer = model_.layers.emplace_back();
  int64_t ffn = part_.of(kFfn), queries = part_.of(kQueries);
  auto vector = [&](uint64_t s, double scale) {
    memory_.push_back(matrix(s, scale, kHidden, 1, 0, 0, 1));
    return memory_.back().view().reshaped({kHidden});
  };
  layer.parts[WeightPart::kInputNorm].weight = {vector(seed, 1), kHidden, 1};
  layer.parts[WeightPart::kPostAttentionNorm].weight = {vector(seed + 1, 1), kHidden, 1};
  Tensor bias = qkv(seed + 2, 0.5, 1), weight = qkv(seed + 3, 3 / root(kHidden), kHidden);
  memory_.push_back(bias);
  int64_t rows = bias.view().dim(0);
  layer.parts[WeightPart::kQkv] = {packed(weight, rows, kHidden), bias.view().reshaped({rows})};
  layer.parts[WeightPart::kAttentionOut].weight = packed(
      matrix(seed + 4, 1.5 / root(kQueries), kHidden, queries, 0, part_.begin(kQueries), kQueries),
      kHidden, queries);
  layer.parts[WeightPart::kGateUp].weight = packed(
      matrix(seed + 5, 3 / root(kHidden), 2 * ffn, kHidden, 2 * part_.begin(kFfn), 0, kHidden),
      2 * ffn, kHidden);
  layer.parts[WeightPart::kDown].weight = packed(
      matrix(seed + 6, 2.6 / root(kFfn), kHidden, ffn, 0, part_.begin(kFfn), kFfn), kHidden, ffn);
  Shape pages{kNumPages, part_.of(kKvHeads), kPageSize, kDim};
  for (uint64_t kind : {7, 8}) pools_.push_back(pool(seed + kind));
  layer.kv = {pools_.end()[-2].view().reshaped(pages), pools_.end()[-1].view().reshaped(pages)};
}

Tensor angles() {
  std::vector<float> table;
  for (int64_t p = 0; p < kMaxLength; ++p)
    for (int64_t i = 0; i < kDim; ++i) {
      double angle = static_cast<double>(p) *
                     std::pow(1e6, -2.0 * static_cast<double>(i % (kDim / 2)) / double{kDim});
      table.push_back(static_cast<float>(i < kDim / 2 ? std::cos(angle) : std::sin(angle)));
    }
  return upload(table, {kMaxLength, kDim}, DType::f32);
}

Rank::Rank(Part part)
    : part_(part),
      stream_(backend().device.create_side_stream()),
      launched_(backend().device.create_event()) {
  int64_t vocab = part.of(kVocab);
  model_.num_heads = static_cast<int32_t>(part.of(kHeads));
  model_.num_kv_heads = static_cast<int32_t>(part.of(kKvHeads));
  model_.head_dim = kDim;
  model_.eps = kNormEps;
  for (int64_t l = 0; l < kLayers; ++l) add_layer(static_cast<uint64_t>(100 * (l + 1)));
  auto table_of = [&](uint64_t seed) {
    return packed(matrix(seed, 1, vocab, kHidden, part.begin(kVocab), 0, kHidden), vocab, kHidden);
  };
  model_.embed = table_of(1);
  model_.lm_head = table_of(2);
  memory_.push_back(matrix(3, 1, kHidden, 1, 0, 0, 1));
  model_.final_norm = memory_.back().view().reshaped({kHidden});
  memory_.push_back(angles());
  model_.cos_sin = memory_.back();
  std::vector<int32_t> pages(kNumPages);
  std::iota(pages.begin(), pages.end(), 0);
  std::shuffle(pages.begin(), pages.end(), std::mt19937(7));
  table_ = upload_ints(pages), slots_ = upload_ints({0});
  ids_ = upload_ints({0}), position_ = upload_ints({0});
  logits_ = poisoned({vocab}, DType::f32);
  auto ints = [](const Tensor& t) { return data_of<const int32_t>(t); };
  step_ = {ints(ids_),   ints(ids_), ints(position_),        ints(slots_),
           ints(table_), kNumPages,  data_of<float>(logits_)};
  finish();
}

Rank::~Rank() {
  finish_step();
  if (handle_) backend().fused_decode->destroy(handle_);
  backend().device.destroy_event(launched_);
  backend().device.destroy_stream(stream_);
}

void Rank::create(const std::vector<void*>& rooms, uint32_t first_epoch) {
  model_.first_epoch = first_epoch;
  model_.ranks = {.rank = static_cast<int32_t>(part_.rank),
                  .vocab_begin = part_.begin(kVocab),
                  .rooms = rooms,
                  .num_blocks = kBlocks};
  handle_ = backend().fused_decode->create(model_);
  REQUIRE(handle_ != nullptr);
}

void Rank::set_step(int64_t position, int32_t id) {
  auto at = static_cast<int32_t>(position);
  backend().device.copy(stream(), ids_.view().data, &id, sizeof id);
  backend().device.copy(stream(), position_.view().data, &at, sizeof at);
  backend().device.fill(stream(), logits_.view().data, 0xff, logits_.bytes());
  finish();
}

bool Rank::is_done() {
  backend().device.record(launched_, stream_);
  for (int i = 0; i < 10'000; ++i) {
    if (backend().device.is_done(launched_)) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

std::vector<bf16> Rank::lines(int64_t position) {
  std::vector<bf16> all;
  int64_t heads = part_.of(kKvHeads);
  int32_t page =
      download<int32_t>(table_.view().data, kNumPages)[static_cast<size_t>(position / kPageSize)];
  for (const Tensor& pool : pools_)
    for (int64_t h = 0; h < heads; ++h) {
      int64_t line = (page * heads + h) * kPageSize + position % kPageSize;
      auto values = download<bf16>(data_of<bf16>(pool) + line * kDim, kDim);
      all.insert(all.end(), values.begin(), values.end());
    }
  return all;
}

double error_of(const std::vector<float>& got, const std::vector<float>& want) {
  return relative_error(std::span<const float>(got), std::span<const float>(want));
}

// The lines of rank r's heads among those of all.
std::vector<float> part_of_lines(const std::vector<bf16>& whole, Part part) {
  std::vector<float> mine;
  std::vector<float> all = widened(whole);
  for (int64_t pool = 0; pool < 2 * kLayers; ++pool) {
    auto begin = all.begin() + (pool * kKvHeads + part.begin(kKvHeads)) * kDim;
    mine.insert(mine.end(), begin, begin + part.of(kKvHeads) * kDim);
  }
  return mine;
}

// Steps of `size` ranks, some of them launched late.
void check_ranks(int64_t size, uint32_t first_epoch) {
  if (!backend().fused_decode || cuda::num_sms() < size * kBlocks) return;
  Rank whole({0, 1});
  whole.create({}, 1);
  std::vector<std::unique_ptr<Rank>> ranks;
  for (int64_t r = 0; r < size; ++r) ranks.push_back(std::make_unique<Rank>(Part{r, size}));
  Tensor memory(backend().device, DType::u8, {size * static_cast<int64_t>(ranks[0]->room_bytes())});
  REQUIRE(memory.bytes() > 0);
  backend().device.fill(stream(), memory.view().data, 0, memory.bytes());
  finish();
  std::vector<void*> rooms;
  for (int64_t r = 0; r < size; ++r)
    rooms.push_back(data_of<char>(memory) + static_cast<size_t>(r) * ranks[0]->room_bytes());
  for (auto& rank : ranks) rank->create(rooms, first_epoch);

  int32_t id = 11;
  int64_t num_steps = 0;
  for (int64_t position : {0, 1, 2, 31, 32, 63, 64, 65, 600, 601, 602, 767}) {
    CAPTURE(position);
    id = (id * 7919 + 13) % int32_t{kVocab};
    whole.set_step(position, id);
    for (auto& rank : ranks) rank->set_step(position, id);
    whole.launch();
    for (int64_t r = 0; r < size; ++r) {
      if (r == num_steps % size) std::this_thread::sleep_for(std::chrono::milliseconds(2));
      ranks[static_cast<size_t>((r + num_steps) % size)]->launch();
    }
    ++num_steps;
    std::vector<float> logits;
    for (auto& rank : ranks) {
      REQUIRE(rank->is_done());
      std::vector<float> part = rank->logits();
      logits.insert(logits.end(), part.begin(), part.end());
    }
    whole.finish_step();
    CHECK(error_of(logits, whole.logits()) < kError);
    std::vector<bf16> lines = whole.lines(position);
    for (int64_t r = 0; r < size; ++r)
      CHECK(error_of(widened(ranks[static_cast<size_t>(r)]->lines(position)),
                     part_of_lines(lines, {r, size})) < kError);
  }
}

}  // namespace

TEST_CASE("a decode step in one kernel on two ranks") { check_ranks(2, 1); }
TEST_CASE("a decode step in one kernel on four ranks") { check_ranks(4, 1); }
TEST_CASE("a decode step in one kernel on two ranks where their count of steps starts anew") {
  check_ranks(2, /*first_epoch=*/0xffff0000u - 20);
}
