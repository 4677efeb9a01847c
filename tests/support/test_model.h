#pragma once
// A model on this test's ranks, at the level of steps: feed tokens, get logits or hidden states.
// Unless told otherwise, a one-dimensional grid over all ranks of a group.
#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/decoder/decoder.h"
#include "tests/support/device.h"
#include "tests/support/world.h"

namespace ll::test {

class TestModel {
 public:
  static constexpr int64_t kPositions = 4096;

  TestModel(const std::string& path, DType dtype)
      : TestModel(WeightStore::open(path), dtype, mpi().world()) {}
  struct On {
    std::optional<GridShape> grid;
    int page_size = 0;                   // positions a rank has in a page; 0: the backend's largest
    ProcessGrid::MakeCommunicator make;  // null: the backend's own
    std::function<void(ModelShard&)> spoil;  // makes a mistake in what this rank holds
    const Backend* steps_on = nullptr;       // whose ops steps use; null: those of backend()
  };
  TestModel(const WeightStore& store, DType dtype, const MpiGroup& group)
      : TestModel(store, dtype, group, On{}) {}
  TestModel(const WeightStore& store, DType dtype, const MpiGroup& group, const On& on)
      : TestModel(
            store.config(), dtype, group,
            [&](const ModelShard& shard) {
              return load_weights(store, shard, dtype, backend(), stream(), 2, {});
            },
            on) {}
  // With dummy weights. MpiGroup() makes a model on this rank alone.
  TestModel(const ModelConfig& config, DType dtype, uint64_t seed, const MpiGroup& group)
      : TestModel(config, dtype, seed, group, On{}) {}
  TestModel(const ModelConfig& config, DType dtype, uint64_t seed, const MpiGroup& group,
            const On& on)
      : TestModel(
            config, dtype, group,
            [&](const ModelShard& shard) {
              return random_weights(config, shard, dtype, backend(), stream(), seed);
            },
            on) {}

  const ModelConfig& config() const { return config_; }
  Decoder& model() { return model_; }
  const ModelShard& shard() const { return shard_; }
  const KvCache& kv() const { return kv_; }

  // Final hidden states of `tokens` at positions first...: one sequence, which attends to what it
  // was fed before; a single token comes as a decode row.
  TensorView forward(const std::vector<int32_t>& tokens, int32_t first = 0, bool gathered = false) {
    auto count = static_cast<int32_t>(tokens.size());
    std::vector<int32_t> positions, slots(tokens.size(), 0);
    for (int32_t i = 0; i < count; ++i) positions.push_back(first + i);
    ids_ = upload_ints(tokens);
    positions_ = upload_ints(positions);
    slots_ = upload_ints(slots);
    bool is_decode = count == 1;
    chunks_.clear();
    if (!is_decode) chunks_ = {{0, 0, count, first}};
    device_chunks_ = upload_structs(chunks_);
    StepInputs inputs;
    inputs.batch = {count,
                    is_decode,
                    data_of<int32_t>(positions_),
                    data_of<int32_t>(slots_),
                    data_of<int32_t>(table_),
                    table_.view().dim(0),
                    chunks_,
                    data_of<Chunk>(device_chunks_),
                    first + count};
    inputs.ids = data_of<int32_t>(ids_);
    inputs.last_tokens = data_of<int32_t>(ids_);
    inputs.gathered = gathered;
    return model_.forward(stream(), inputs, kv_);
  }

  // Sum of -log p(targets[r]) over hidden rows.
  double negative_log_likelihood(TensorView hidden, const std::vector<int32_t>& targets) {
    int64_t rows = hidden.dim(0);
    Tensor own(backend().device, DType::f32, {rows, shard_.vocab.size});
    model_.logits(stream(), hidden, own);
    Tensor ids = upload_ints(targets), chosen(backend().device, DType::f32, {rows}),
           sums(backend().device, DType::f32, {rows, 2});
    int64_t ranks = grid_.replica().size();
    Tensor all(backend().device, DType::f32, {ranks, rows * 2});
    backend().ops.sampling.target_logits(stream(), own, data_of<int32_t>(ids), shard_.vocab.begin,
                                         data_of<float>(chosen));
    grid_.replica_comm().all_reduce_max(stream(), chosen);
    backend().ops.sampling.log_sum_exp(stream(), own, data_of<float>(sums), nullptr);
    grid_.replica_comm().all_gather(stream(), sums.view().data, all.view().data, sums.bytes());
    auto target = download_floats(chosen), part = download_floats(all);
    double total = 0;
    for (int64_t r = 0; r < rows; ++r) {
      double max = -1e30, sum = 0;
      auto of_rank = [&](int64_t k) { return part.data() + (k * rows + r) * 2; };
      for (int64_t k = 0; k < ranks; ++k) max = std::max<double>(max, of_rank(k)[0]);
      for (int64_t k = 0; k < ranks; ++k) sum += of_rank(k)[1] * std::exp(of_rank(k)[0] - max);
      total += max + std::log(sum) - target[static_cast<size_t>(r)];
    }
    return total;
  }

  // All ranks' logits of hidden rows, [rows][vocabulary].
  std::vector<float> logits(TensorView hidden) {
    int64_t rows = hidden.dim(0), ranks = grid_.replica().size();
    Tensor own(backend().device, DType::f32, {rows, shard_.vocab.size});
    model_.logits(stream(), hidden, own);
    auto mine = download_floats(own);
    int64_t widest = grid_.replica().max(shard_.vocab.size);
    std::vector<float> padded(static_cast<size_t>(rows * widest)),
        all(static_cast<size_t>(rows * config_.vocab_size));
    for (int64_t r = 0; r < rows; ++r)
      std::copy_n(mine.data() + r * shard_.vocab.size, shard_.vocab.size,
                  padded.data() + r * widest);
    Tensor send = upload(padded, {rows * widest}, DType::f32),
           gathered(backend().device, DType::f32, {ranks, rows * widest});
    grid_.replica_comm().all_gather(stream(), send.view().data, gathered.view().data, send.bytes());
    auto parts = download_floats(gathered);
    for (int64_t k = 0; k < ranks; ++k) {
      Range vocab = shard_of(config_, shape_, place_of(shape_, static_cast<int>(k))).vocab;
      for (int64_t r = 0; r < rows; ++r)
        std::copy_n(parts.data() + (k * rows + r) * widest, vocab.size,
                    all.data() + r * config_.vocab_size + vocab.begin);
    }
    return all;
  }

 private:
  template <class MakeWeights>
  TestModel(const ModelConfig& config, DType dtype, const MpiGroup& group,
            const MakeWeights& make_weights, const On& on)
      : config_(config),
        shape_(choose_grid(config_, on.grid, group.size())),
        grid_(on.make ? ProcessGrid(backend(), group, shape_, on.make)
                      : ProcessGrid(backend(), group, shape_)),
        shard_(spoiled(shard_of(config_, shape_, grid_.place()), on)),
        model_(config_, shard_, make_weights(shard_), on.steps_on ? *on.steps_on : backend(), grid_,
               kPositions, kPositions),
        page_size_(on.page_size > 0 ? on.page_size : page_sizes().back()),
        kv_(backend(), {config_, shard_, dtype}, kPositions / page_size_, page_size_) {
    std::vector<int32_t> pages;
    for (int32_t i = 0; i < kPositions / page_size_; ++i) pages.push_back(i);
    table_ = upload_ints(pages);
  }

  static ModelShard spoiled(ModelShard shard, const On& on) {
    if (on.spoil) on.spoil(shard);
    return shard;
  }

  ModelConfig config_;
  GridShape shape_;
  ProcessGrid grid_;
  ModelShard shard_;
  Decoder model_;
  int page_size_;
  KvCache kv_;
  Tensor table_, ids_, positions_, slots_, device_chunks_;
  std::vector<Chunk> chunks_;
};

}  // namespace ll::test
