// Speed of the ops between the products: what a row of a step costs beside its weights.
// usage: bench_small_ops [--models 1.5b] [--rows 1,64,256] [--ops draw,embed]
#include <fmt/core.h>

#include <functional>

#include "kernels/cuda/rows/silu.h"
#include "perf/graph_timer.h"

using namespace ll;
using namespace ll::perf;

namespace {

constexpr int kCalls = 20;
constexpr int64_t kPositions = 4096, kPageSize = 64;

// Everything the ops read and write for `rows` rows of one model.
class Bench {
 public:
  Bench(const Backend& backend, const GraphTimer& timer, const ModelShape& model, int64_t rows,
        std::vector<std::string> ops)
      : backend_(backend), timer_(timer), m_(model), rows_(rows), wanted_(std::move(ops)) {}

  void run() {
    layer_ops();
    sampling_ops();
  }

 private:
  Tensor tensor(Shape shape, DType dtype, float scale = 1.0f) {
    Tensor t(backend_.device, dtype, shape);
    backend_.ops.fill_random(timer_.stream(), t, 7, scale, 0, 0, shape.rank() > 1 ? shape[1] : 1);
    return t;
  }

  template <class T>
  Tensor upload(const std::vector<T>& values) {
    Tensor t(backend_.device, DType::u8, {static_cast<int64_t>(values.size() * sizeof(T))});
    backend_.device.copy(timer_.stream(), t.view().data, values.data(), t.bytes());
    backend_.device.synchronize(timer_.stream());
    return t;
  }

  template <class T>
  static T* data_of(const Tensor& t) {
    return static_cast<T*>(t.view().data);
  }

  void time(const std::string& name, int64_t bytes, const std::function<void()>& op) {
    if (!names(wanted_, name)) return;
    double us = timer_.microseconds(kCalls, [&](int) { op(); });
    fmt::print("{:5} {:22} {:5} {:9.2f} {:9.1f}\n", m_.name, name, rows_, us,
               static_cast<double>(bytes) / us / 1e3);
    std::fflush(stdout);
  }

  void layer_ops();
  void rope();
  Tensor sampling_rows(const Draw& draw);
  void sampling_ops();
  void sampled(const Tensor& logits);
  void logprobs(const Tensor& logits);
  void selection(const Tensor& logits, const SamplingRow* rows, Selection* selections);

  const Backend& backend_;
  const GraphTimer& timer_;
  const ModelShape& m_;
  int64_t rows_;
  std::vector<std::string> wanted_;
};

void Bench::layer_ops() {
  Stream s = timer_.stream();
  const Ops& ops = backend_.ops;
  Tensor residual = tensor({rows_, m_.hidden}, DType::bf16),
         delta = tensor({rows_, m_.hidden}, DType::bf16, 0.01f);
  Tensor out = tensor({rows_, m_.hidden}, DType::bf16), gain = tensor({m_.hidden}, DType::bf16);
  time("add_rms_norm", 4 * static_cast<int64_t>(out.bytes()), [&] {
    ops.add_rms_norm(s, {out, residual, delta, gain, 1e-6f});
  });

  Tensor table = tensor({m_.vocab, m_.hidden}, DType::bf16), storage;
  Weight weight = ops.pack_weight(s, table, storage);
  std::vector<int32_t> id_values;
  for (int64_t i = 0; i < rows_; ++i)
    id_values.push_back(static_cast<int32_t>(i * 7919 % m_.vocab));
  Tensor ids = upload(id_values);
  time("embed", 2 * static_cast<int64_t>(out.bytes()), [&] {
    ops.embed(s, {out, weight, data_of<int32_t>(ids), nullptr, 0});
  });

  Tensor pairs = tensor({rows_, 2 * m_.ffn}, DType::bf16),
         act = tensor({rows_, m_.ffn}, DType::bf16);
  time("silu_and_mul", static_cast<int64_t>(pairs.bytes() + act.bytes()),
       [&] { cuda::silu_and_mul(s, act, pairs); });
  rope();
}

void Bench::rope() {
  int64_t width = (m_.heads + 2 * m_.kv_heads) * m_.head_dim, pages = rows_ + 1;
  Tensor qkv = tensor({rows_, width}, DType::bf16),
         angles = tensor({kPositions, m_.head_dim}, DType::f32);
  Tensor k = tensor({pages, m_.kv_heads * kPageSize * m_.head_dim}, DType::bf16),
         v = tensor({pages, m_.kv_heads * kPageSize * m_.head_dim}, DType::bf16);
  Shape shape{pages, m_.kv_heads, kPageSize, m_.head_dim};
  KvPages kv{k.view().reshaped(shape), v.view().reshaped(shape)};
  std::vector<int32_t> positions, slots, page_table;
  for (int32_t i = 0; i < rows_; ++i)
    positions.push_back(i % kPageSize), slots.push_back(i), page_table.push_back(i);
  Tensor p = upload(positions), sl = upload(slots), t = upload(page_table);
  auto rows = static_cast<int32_t>(rows_);
  BatchView batch{
      rows,    rows,     data_of<int32_t>(p), data_of<int32_t>(sl), data_of<int32_t>(t), 1, {},
      nullptr, kPageSize};
  time("rope_and_store_kv", 2 * static_cast<int64_t>(qkv.bytes()), [&] {
    backend_.ops.rope_and_store_kv(timer_.stream(),
                                   {qkv, angles, kv, batch, static_cast<int32_t>(m_.heads),
                                    static_cast<int32_t>(m_.kv_heads)});
  });
}

Tensor Bench::sampling_rows(const Draw& draw) {
  std::vector<SamplingRow> rows(static_cast<size_t>(rows_), {draw});
  for (size_t i = 0; i < rows.size(); ++i)
    rows[i].slot = rows[i].position = static_cast<int32_t>(i);
  return upload(rows);
}

void Bench::sampling_ops() {
  Stream s = timer_.stream();
  const SamplingOps& ops = backend_.ops.sampling;
  Tensor logits = tensor({rows_, m_.vocab}, DType::f32, 12.0f);
  auto bytes = static_cast<int64_t>(logits.bytes());
  auto count = static_cast<int32_t>(rows_);
  Tensor greedy = sampling_rows({}), warm = sampling_rows({.temperature = 1}),
         cut = sampling_rows({.temperature = 1, .top_p = 0.8f, .top_k = kMaxShortTopK + 1});
  Tensor best = upload(std::vector<Candidate>(static_cast<size_t>(rows_))),
         tokens = tensor({rows_}, DType::f32), last = tensor({rows_}, DType::f32);
  Tensor selections = upload(std::vector<Selection>(static_cast<size_t>(rows_)));
  time("draw greedy", bytes, [&] {
    ops.draw(s, logits, data_of<SamplingRow>(greedy), nullptr, 0, data_of<Candidate>(best));
  });
  time("draw", bytes, [&] {
    ops.draw(s, logits, data_of<SamplingRow>(warm), nullptr, 0, data_of<Candidate>(best));
  });
  selection(logits, data_of<SamplingRow>(cut), data_of<Selection>(selections));
  time("draw after top_k", bytes, [&] {
    ops.draw(s, logits, data_of<SamplingRow>(cut), data_of<Selection>(selections), 0,
             data_of<Candidate>(best));
  });
  time("choose", rows_ * 16, [&] {
    ops.choose(s,
               {data_of<Candidate>(best), 1, data_of<SamplingRow>(greedy), count,
                data_of<int32_t>(tokens), nullptr, data_of<int32_t>(last), nullptr, 0, m_.vocab});
  });
  sampled(logits);
  logprobs(logits);
}

// Qwen2.5's defaults: penalties and a shortlist.
void Bench::sampled(const Tensor& logits) {
  constexpr int32_t kCounted = 1000;
  Stream s = timer_.stream();
  const SamplingOps& ops = backend_.ops.sampling;
  auto num_rows = static_cast<size_t>(rows_);
  auto bytes = static_cast<int64_t>(logits.bytes());
  Tensor rows =
      sampling_rows({.temperature = 0.7f, .top_p = 0.8f, .top_k = 20, .repetition_penalty = 1.05f});
  std::vector<int32_t> counted;
  for (int32_t i = 0; i < kCounted; ++i) counted.push_back(i * 11);
  Tensor prompt = upload(counted), counts(backend_.device, DType::i32, {rows_, m_.vocab}),
         keys(backend_.device, DType::i32, {rows_, num_granules(m_.vocab)});
  for (int64_t r = 0; r < rows_; ++r)
    ops.reset_counts(s, data_of<int32_t>(counts) + r * m_.vocab, m_.vocab,
                     {data_of<int32_t>(prompt), 0, kCounted, 0}, 0);
  Tensor lists = upload(std::vector<Shortlist>(num_rows)),
         entries = upload(std::vector<ShortlistEntries>(num_rows)),
         selections = upload(std::vector<Selection>(num_rows)),
         best = upload(std::vector<Candidate>(num_rows));
  const auto* row = data_of<SamplingRow>(rows);
  auto* granule_keys = data_of<uint32_t>(keys);
  auto penalties = [&](uint32_t* to) {
    ops.apply_penalties(s, logits, row, data_of<int32_t>(counts), to);
  };
  auto shortlist = [&] {
    ops.shortlist(s, logits, row, granule_keys, 0, data_of<Shortlist>(lists),
                  data_of<ShortlistEntries>(entries));
  };
  auto draw = [&] {
    ops.draw_shortlist(s, {logits, row, granule_keys, data_of<Shortlist>(lists), 1,
                           data_of<ShortlistEntries>(entries), 0, data_of<Selection>(selections),
                           data_of<Candidate>(best)});
  };
  time("penalties alone", bytes, [&] { penalties(nullptr); });
  time("penalties and keys", 2 * bytes, [&] { penalties(granule_keys); });
  time("shortlist", static_cast<int64_t>(keys.bytes()), shortlist);
  time("draw_shortlist", static_cast<int64_t>(lists.bytes()), draw);
  time("sampled whole", 2 * bytes, [&] {
    penalties(granule_keys);
    shortlist();
    draw();
  });
}

void Bench::logprobs(const Tensor& logits) {
  constexpr int kMost = 20;
  Stream s = timer_.stream();
  const SamplingOps& ops = backend_.ops.sampling;
  auto bytes = static_cast<int64_t>(logits.bytes());
  Tensor keys(backend_.device, DType::i32, {rows_, num_granules(m_.vocab)}),
      pairs = tensor({rows_, 2}, DType::f32), chosen = tensor({rows_}, DType::f32),
      top = upload(std::vector<Candidate>(static_cast<size_t>(rows_ * kMost))),
      targets = upload(std::vector<int32_t>(static_cast<size_t>(rows_), 77));
  auto* granule_keys = data_of<uint32_t>(keys);
  auto sum = [&](uint32_t* to) { ops.log_sum_exp(s, logits, data_of<float>(pairs), to); };
  auto largest = [&](int n) {
    ops.top_logits(s, logits, granule_keys, n, 0, data_of<Candidate>(top));
  };
  time("log_sum_exp alone", bytes, [&] { sum(nullptr); });
  time("log_sum_exp and keys", bytes, [&] { sum(granule_keys); });
  sum(granule_keys);
  time("top_logits 5", static_cast<int64_t>(keys.bytes()), [&] { largest(5); });
  time("top_logits 20", static_cast<int64_t>(keys.bytes()), [&] { largest(kMost); });
  time("logprobs 5 whole", bytes, [&] {
    sum(granule_keys);
    ops.target_logits(s, logits, data_of<int32_t>(targets), 0, data_of<float>(chosen));
    largest(5);
  });
}

// row_max, and the rounds of top_k and top_p.
void Bench::selection(const Tensor& logits, const SamplingRow* rows, Selection* selections) {
  Stream s = timer_.stream();
  const SamplingOps& ops = backend_.ops.sampling;
  auto count = static_cast<int32_t>(rows_);
  auto bytes = static_cast<int64_t>(logits.bytes());
  Tensor max(backend_.device, DType::f32, {rows_}),
      bins(backend_.device, DType::i64, {rows_, kSelectBins});
  auto* histogram = data_of<int64_t>(bins);
  time("row_max", bytes, [&] { ops.row_max(s, logits, data_of<float>(max)); });
  ops.row_max(s, logits, data_of<float>(max));
  auto begin = [&] { ops.begin_selection(s, rows, data_of<float>(max), selections, count); };
  begin();
  time("histogram top_k", bytes,
       [&] { ops.histogram(s, logits, rows, selections, SelectBy::kTopK, 0, histogram); });
  time("histogram top_p", bytes,
       [&] { ops.histogram(s, logits, rows, selections, SelectBy::kTopP, 0, histogram); });
  time("narrow", static_cast<int64_t>(bins.bytes()),
       [&] { ops.narrow(s, rows, histogram, SelectBy::kTopP, 0, selections, count); });
  auto select_all = [&] {
    begin();
    for (SelectBy by : {SelectBy::kTopK, SelectBy::kTopP})
      for (int round = 0; round < kSelectRounds; ++round) {
        ops.histogram(s, logits, rows, selections, by, round, histogram);
        ops.narrow(s, rows, histogram, by, round, selections, count);
      }
  };
  time("top_k and top_p whole", 6 * bytes, select_all);
  select_all();
}

int run(int argc, char** argv) {
  auto models = list_option(argc, argv, "models"), row_list = list_option(argc, argv, "rows"),
       ops = list_option(argc, argv, "ops");
  if (models.empty()) models = {"1.5b", "7b"};
  if (row_list.empty()) row_list = {"1", "64", "256"};
  Backend backend = open_backend(BackendKind::kCuda, 0, 0);
  GraphTimer timer(backend);
  fmt::print(
      "{}; memory reads at {} GB/s\nmodel op                      rows        us      GB/s\n",
      backend.device_name, 1000 * kReadTbs);
  for (const ModelShape& model : kModels)
    for (const std::string& rows : row_list)
      if (names(models, model.name)) Bench(backend, timer, model, std::stoll(rows), ops).run();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& e) {
    fmt::print(stderr, "bench_small_ops: {}\n", e.what());
    return 1;
  }
}
