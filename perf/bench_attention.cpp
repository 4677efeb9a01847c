// usage: bench_attention [word]
// Speed of attention on the GPU; with a word, only of the cases whose line holds it. Prefill counts
// the operations below the diagonal, decode the bytes of keys and values; the share is of 792
// TFLOP/s and 4.37 TB/s, a large matrix product's and a plain read's on an H200. Calls go round
// over keys and values that together exceed the L2 cache, as a model's layers do. `error` is that
// of two outputs against double precision, `plan` the time of begin_step. Of rows that share a
// prefix all bytes that they attend to count; "groups" read it once.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "base/numbers.h"
#include "kernels/backend.h"

namespace {

using namespace ll;

constexpr int kPage = 64;
constexpr double kPeakFlops = 792e12, kPeakBytes = 4.37e12;
constexpr int64_t kBeyondCache = int64_t{256} << 20;
constexpr int kCalls = 16, kRounds = 3;

// `rows` new positions behind `cached` ones; a decode row or a chunk.
struct Piece {
  int32_t cached, rows;
};

// Runs of so many decode rows begin with the same pages.
struct Sharing {
  int32_t rows = 0, pages = 0;
  bool in_groups = false;
};

struct Case {
  std::string name;
  bool decode;
  int32_t heads, kv_heads;
  int64_t dim;
  std::vector<Piece> pieces;
  std::string target;
  Sharing sharing = {};
};

std::vector<Piece> repeat(int count, Piece piece) {
  return std::vector<Piece>(static_cast<size_t>(count), piece);
}

// Decode rows that share prefixes, read whole and in groups.
void add_shared(std::vector<Case>& list) {
  struct Shared {
    int32_t groups, rows, pages;
  };
  struct Heads {
    int32_t heads, kv_heads;
    int64_t dim;
  };
  for (const Heads& h : {Heads{28, 4, 128}, Heads{12, 2, 128}, Heads{14, 2, 64}})
    for (const Shared& s : {Shared{1, 256, 64}, Shared{4, 64, 64}, Shared{16, 16, 16},
                            Shared{1, 16, 64}, Shared{4, 4, 32}, Shared{8, 8, 8}})
      for (bool in_groups : {false, true}) {
        std::string name = fmt::format("shared {} x {} x {}{}", s.groups, s.rows, s.pages * kPage,
                                       in_groups ? ", groups" : "");
        list.push_back({name,
                        true,
                        h.heads,
                        h.kv_heads,
                        h.dim,
                        repeat(s.groups * s.rows, {s.pages * kPage + 95, 1}),
                        "",
                        {s.rows, s.pages, in_groups}});
      }
}

std::vector<Case> cases() {
  std::vector<Piece> mixed, skewed = repeat(64, {499, 1});
  std::mt19937 rng(7);
  for (int i = 0; i < 256; ++i) mixed.push_back({99 + static_cast<int32_t>(rng() % 1901), 1});
  skewed[5].cached = 29999;
  std::vector<Case> list{
      {"prefill 1 x 8192", false, 28, 4, 128, {{0, 8192}}, "600 TFLOP/s"},
      {"prefill 8 x 2048", false, 28, 4, 128, repeat(8, {0, 2048}), "540 TFLOP/s"},
      {"prefill 8 x 2048", false, 7, 1, 128, repeat(8, {0, 2048}), ""},
      {"prefill 40 x 600", false, 12, 2, 128, repeat(40, {0, 600}), "300 TFLOP/s"},
      {"prefill 40 x 600", false, 28, 4, 128, repeat(40, {0, 600}), ""},
      {"prefill 2048 after 14336", false, 28, 4, 128, {{14336, 2048}}, ""},
      {"prefill 64 x (64 after 4096)", false, 12, 2, 128, repeat(64, {4096, 64}), ""},
      {"prefill 1 x 8192", false, 14, 2, 64, {{0, 8192}}, "370 TFLOP/s"},
      {"prefill 8 x 2048", false, 14, 2, 64, repeat(8, {0, 2048}), ""},
      {"prefill 40 x 600", false, 14, 2, 64, repeat(40, {0, 600}), ""},
      {"decode 64 x 4096", true, 28, 4, 128, repeat(64, {4095, 1}), "88%"},
      {"decode 64 x 4096", true, 12, 2, 128, repeat(64, {4095, 1}), "80%"},
      {"decode 64 x 4096", true, 7, 1, 128, repeat(64, {4095, 1}), ""},
      {"decode 64 x 4096", true, 14, 2, 64, repeat(64, {4095, 1}), "75%"},
      {"decode 256 x 100..2000", true, 28, 4, 128, mixed, ""},
      {"decode 256 x 100..2000", true, 12, 2, 128, mixed, ""},
      {"decode 256 x 100..2000", true, 14, 2, 64, mixed, ""},
      {"decode 40 x 900", true, 12, 2, 128, repeat(40, {899, 1}), "14 us"},
      {"decode 40 x 900", true, 14, 2, 64, repeat(40, {899, 1}), ""},
      {"decode 63 x 500, 1 x 30000", true, 12, 2, 128, skewed, ""},
      {"decode 1 x 600", true, 12, 2, 128, {{599, 1}}, ""},
      {"decode 1 x 600", true, 14, 2, 64, {{599, 1}}, ""},
      {"decode 1 x 32768", true, 12, 2, 128, {{32767, 1}}, "60%"},
      {"decode 1 x 32768", true, 28, 4, 128, {{32767, 1}}, ""},
      {"decode 1 x 32768", true, 14, 2, 64, {{32767, 1}}, ""},
      {"decode 1 x 4096", true, 12, 2, 128, {{4095, 1}}, ""},
      {"decode 4 x 8192", true, 12, 2, 128, repeat(4, {8191, 1}), ""},
  };
  add_shared(list);
  return list;
}

template <class T>
Tensor upload(const Backend& b, Stream stream, const std::vector<T>& values) {
  Tensor t(b.device, DType::u8, {static_cast<int64_t>(values.size() * sizeof(T))});
  if (!values.empty()) b.device.copy(stream, t.view().data, values.data(), t.bytes());
  b.device.synchronize(stream);
  return t;
}

Tensor random_tensor(const Backend& b, Stream stream, Shape shape, uint64_t seed, float scale) {
  Tensor t(b.device, DType::bf16, shape);
  int64_t cols = shape[shape.rank() - 1];
  b.ops.fill_random(stream, t.view().reshaped({t.view().numel() / cols, cols}), seed, scale, 0, 0,
                    cols);
  return t;
}

// A step's batch and several layers' keys and values, in shuffled pages.
class Step {
 public:
  Step(const Backend& b, Stream stream, const Case& c) : backend_(b), stream_(stream), case_(c) {
    std::vector<int32_t> positions, slots;
    for (const Piece& p : c.pieces) {
      auto slot = static_cast<int32_t>(&p - c.pieces.data()),
           row = static_cast<int32_t>(positions.size());
      if (!c.decode) chunks_.push_back({slot, row, p.rows, p.cached});
      for (int32_t r = 0; r < p.rows; ++r) positions.push_back(p.cached + r), slots.push_back(slot);
      stride_ = std::max<int64_t>(stride_, pages_of(p));
    }
    table_.assign(c.pieces.size() * static_cast<size_t>(stride_), 0);
    std::vector<int32_t> ids(static_cast<size_t>(num_pages()));
    std::iota(ids.begin(), ids.end(), 0);
    std::shuffle(ids.begin(), ids.end(), std::mt19937(1));
    auto id = ids.begin();
    for (size_t i = 0; i < c.pieces.size(); ++i)
      for (int64_t j = 0; j < pages_of(c.pieces[i]); ++j)
        entry(i, j) = shares(i, j) ? entry(i - 1, j) : *id++;
    if (c.sharing.rows > 0) make_groups();
    num_rows_ = static_cast<int64_t>(positions.size());
    positions_ = upload(b, stream, positions);
    slots_ = upload(b, stream, slots);
    device_table_ = upload(b, stream, table_);
    device_chunks_ = upload(b, stream, chunks_);
    int64_t page_bytes = 4 * c.kv_heads * kPage * c.dim;
    num_layers_ = std::clamp<int64_t>(kBeyondCache / (num_pages() * page_bytes) + 1, 1, 256);
    Shape pool{num_layers_ * num_pages(), c.kv_heads, kPage, c.dim};
    keys_ = random_tensor(b, stream, pool, 1, 2.0f);
    values_ = random_tensor(b, stream, pool, 2, 1.0f);
    qkv_ = random_tensor(b, stream, {num_rows_, (c.heads + 2 * c.kv_heads) * c.dim}, 3, 3.0f);
    out_ = Tensor(b.device, DType::bf16, {num_rows_, c.heads * c.dim});
  }

  int64_t num_layers() const { return num_layers_; }

  void begin() {
    backend_.ops.begin_step(stream_, batch(),
                            {case_.heads, case_.kv_heads, static_cast<int32_t>(case_.dim)});
  }

  void attend(int64_t layer) {
    KvPages kv{keys_.view().rows(layer * num_pages(), num_pages()),
               values_.view().rows(layer * num_pages(), num_pages())};
    backend_.ops.attention(stream_, {out_, qkv_, kv, batch(), case_.heads, case_.kv_heads});
  }

  void make_groups() {
    const Sharing& s = case_.sharing;
    std::vector<int32_t> of_rows;
    for (int32_t row = 0; row < static_cast<int32_t>(case_.pieces.size()); ++row) {
      if (row % s.rows == 0) groups_.push_back({row, s.rows, 0, s.pages, -1});
      of_rows.push_back(row / s.rows);
    }
    device_groups_ = upload(backend_, stream_, groups_);
    row_groups_ = upload(backend_, stream_, of_rows);
  }

  double flops() const {
    double pairs = 0;
    for (const Piece& p : case_.pieces) pairs += p.rows * (p.cached + (p.rows + 1) / 2.0);
    return 4.0 * static_cast<double>(case_.dim) * case_.heads * pairs;
  }

  double bytes() const {
    double positions = 0;
    for (const Piece& p : case_.pieces) positions += p.cached + p.rows;
    return 4.0 * static_cast<double>(case_.dim) * case_.kv_heads * positions;
  }

  // The worst error of layer 0, in the longest sequence's last row and last head, and the first
  // sequence's middle row and first head.
  double error() {
    begin();
    attend(0);
    auto longest = std::max_element(
        case_.pieces.begin(), case_.pieces.end(),
        [](const Piece& x, const Piece& y) { return x.cached + x.rows < y.cached + y.rows; });
    auto index = static_cast<size_t>(longest - case_.pieces.begin());
    return std::max(error_of(index, longest->rows - 1, case_.heads - 1),
                    error_of(0, case_.pieces[0].rows / 2, 0));
  }

 private:
  static int64_t pages_of(const Piece& p) { return ceil_div(p.cached + p.rows, kPage); }
  int64_t num_pages() const {
    int64_t n = 0;
    for (size_t i = 0; i < case_.pieces.size(); ++i)
      for (int64_t j = 0; j < pages_of(case_.pieces[i]); ++j) n += !shares(i, j);
    return n;
  }
  int32_t& entry(size_t sequence, int64_t page) {
    return table_[sequence * static_cast<size_t>(stride_) + static_cast<size_t>(page)];
  }
  // Whether the page is also that of the sequence before.
  bool shares(size_t sequence, int64_t page) const {
    const Sharing& s = case_.sharing;
    return s.rows > 0 && sequence % static_cast<size_t>(s.rows) > 0 && page < s.pages;
  }

  BatchView batch() const {
    auto rows = static_cast<int32_t>(num_rows_);
    auto ints = [](const Tensor& t) { return static_cast<const int32_t*>(t.view().data); };
    BatchView batch{rows,
                    case_.decode ? rows : 0,
                    ints(positions_),
                    ints(slots_),
                    ints(device_table_),
                    stride_,
                    chunks_,
                    static_cast<const Chunk*>(device_chunks_.view().data),
                    static_cast<int32_t>(stride_ * kPage)};
    if (!case_.sharing.in_groups) return batch;
    batch.num_prefix_groups = static_cast<int32_t>(groups_.size());
    batch.prefix_groups = static_cast<const PrefixGroup*>(device_groups_.view().data);
    batch.row_groups = ints(row_groups_);
    return batch;
  }

  std::vector<double> download(const Tensor& t, int64_t first, int64_t count) {
    std::vector<bf16> raw(static_cast<size_t>(count));
    backend_.device.copy(stream_, raw.data(), static_cast<bf16*>(t.view().data) + first,
                         raw.size() * sizeof(bf16));
    backend_.device.synchronize(stream_);
    std::vector<double> values;
    for (bf16 x : raw) values.push_back(static_cast<double>(to_float(x)));
    return values;
  }

  double error_of(size_t sequence, int64_t row_of_sequence, int64_t head) {
    int64_t row = row_of_sequence, length = case_.pieces[sequence].cached + row_of_sequence + 1,
            dim = case_.dim;
    for (size_t i = 0; i < sequence; ++i) row += case_.pieces[i].rows;
    int64_t kv_head = head / (case_.heads / case_.kv_heads),
            width = (case_.heads + 2 * case_.kv_heads) * dim;
    std::vector<double> q = download(qkv_, row * width + head * dim, dim),
                        got = download(out_, (row * case_.heads + head) * dim, dim);
    std::vector<double> want(q.size());
    double sum = 0;
    for (int64_t j = 0; j < length; j += kPage) {
      int64_t page =
          table_[sequence * static_cast<size_t>(stride_) + static_cast<size_t>(j / kPage)];
      int64_t at = (page * case_.kv_heads + kv_head) * kPage * dim;
      std::vector<double> k = download(keys_, at, kPage * dim),
                          v = download(values_, at, kPage * dim);
      for (int64_t p = 0; p < std::min<int64_t>(kPage, length - j); ++p) {
        double weight = std::exp(std::inner_product(q.begin(), q.end(), k.begin() + p * dim, 0.0) /
                                 std::sqrt(static_cast<double>(dim)));
        sum += weight;
        for (size_t d = 0; d < want.size(); ++d)
          want[d] += weight * v[static_cast<size_t>(p * dim) + d];
      }
    }
    double difference = 0, norm = 0;
    for (size_t d = 0; d < want.size(); ++d) {
      difference += std::pow(got[d] - want[d] / sum, 2);
      norm += std::pow(want[d] / sum, 2);
    }
    return std::sqrt(difference / norm);
  }

  const Backend& backend_;
  Stream stream_;
  const Case& case_;
  std::vector<Chunk> chunks_;
  std::vector<int32_t> table_;
  int64_t stride_ = 0, num_rows_ = 0, num_layers_ = 0;
  std::vector<PrefixGroup> groups_;
  Tensor positions_, slots_, device_table_, device_chunks_, device_groups_, row_groups_, keys_,
      values_, qkv_, out_;
};

// Seconds of one of the `calls` calls that `work` makes, in a graph, at best.
double seconds(const Backend& b, Stream stream, int64_t calls, const auto& work) {
  b.graphs->begin_capture(stream);
  work();
  Graph graph = b.graphs->end_capture(stream);
  Event from = b.device.create_event(), to = b.device.create_event();
  auto milliseconds = [&](int replays) {
    b.device.record(from, stream);
    for (int i = 0; i < replays; ++i) b.graphs->launch(graph, stream);
    b.device.record(to, stream);
    b.device.wait_host(to);
    return static_cast<double>(b.device.elapsed_ms(from, to)) / replays;
  };
  double best = milliseconds(2);
  int replays = std::clamp(static_cast<int>(30 / best), 2, 200);
  for (int round = 0; round < kRounds; ++round) best = std::min(best, milliseconds(replays));
  b.device.destroy_event(from);
  b.device.destroy_event(to);
  b.graphs->destroy(graph);
  return best / 1e3 / static_cast<double>(calls);
}

void run(const Backend& b, Stream stream, const Case& c) {
  Step step(b, stream, c);
  double error = step.error();
  int64_t calls = round_up(kCalls, step.num_layers());
  double plan = seconds(b, stream, kCalls, [&] {
    for (int i = 0; i < kCalls; ++i) step.begin();
  });
  double time = seconds(b, stream, calls, [&] {
    for (int64_t i = 0; i < calls; ++i) step.attend(i % step.num_layers());
  });
  double rate = (c.decode ? step.bytes() : step.flops()) / time;
  fmt::print("{:30} {:>2}/{} {:>3} {:9.1f} {:8.2f} {} {:5.1f}% {:>12} {:9.1e} {:6.1f}\n", c.name,
             c.heads, c.kv_heads, c.dim, time * 1e6, rate / 1e12, c.decode ? "TB/s   " : "TFLOP/s",
             100 * rate / (c.decode ? kPeakBytes : kPeakFlops), c.target, error, plan * 1e6);
  std::fflush(stdout);
}

void run_all(const std::string& word) {
  Backend b = open_backend(BackendKind::kCuda, 0, 0);
  Stream stream = b.device.create_stream();
  fmt::print("{}\n", b.device_name);
  fmt::print("{:30} heads dim {:>8} {:>8} {:>14} {:>12} {:>9} {:>6}\n", "case", "us", "rate",
             "share", "target", "error", "plan");
  for (const Case& c : cases()) {
    std::string line = fmt::format("{} {}/{} {}", c.name, c.heads, c.kv_heads, c.dim);
    if (line.find(word) != std::string::npos) run(b, stream, c);
  }
  b.device.destroy_stream(stream);
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc > 2) ll::fail_usage("usage: bench_attention [word]");
  run_all(argc > 1 ? argv[1] : "");
} catch (const ll::Error& error) {
  fmt::print(stderr, "bench_attention: {}\n", error.what());
  return static_cast<int>(error.code());
}
