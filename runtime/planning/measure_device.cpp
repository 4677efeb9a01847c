#include "runtime/planning/measure_device.h"

#include <algorithm>

#include "base/numbers.h"
#include "kernels/call_timer.h"

namespace ll {
namespace {

constexpr int64_t kCols = 2048;           // inputs of the products
constexpr int64_t kOutputMultiple = 128;  // as in models: libraries are slow on odd shapes

// How large a measurement may be.
struct Extent {
  std::vector<double> weight_bytes;
  std::vector<int64_t> rows;
  double pool_bytes;  // weights that are read in turn, so that no cache holds them
  int64_t prompts, prompt_len;
  int64_t sequences, context;
};
Extent extent_of(const Backend& b) {
  if (b.kind == BackendKind::kCpu)
    return {{2e6, 8e6, 32e6}, {1, 16, 64, 512}, 64e6, 2, 256, 8, 512};
  return {{2e6, 8e6, 32e6, 128e6, 512e6}, {1, 16, 64, 512, 8192}, 256e6, 8, 1024, 64, 1024};
}

// Products of weights that no step before has used.
class ProductTimer {
 public:
  ProductTimer(const Backend& backend, Stream stream, DType dtype)
      : b_(backend), stream_(stream), dtype_(dtype) {}

  // Seconds of a product of x [rows, cols] with one of so many weights [outputs, cols] in turn.
  double seconds(int64_t rows, int64_t outputs, int64_t cols, size_t weights, int calls) const {
    std::vector<Tensor> storage(weights);
    std::vector<Weight> packed;
    for (Tensor& s : storage) {
      Tensor natural = filled({outputs, cols});
      packed.push_back(b_.ops.pack_weight(stream_, natural, s));
      b_.device.synchronize(stream_);
    }
    Tensor x = filled({rows, cols}), y(b_.device, dtype_, {rows, outputs});
    return seconds_a_call(b_, stream_, calls, [&](int i) {
      b_.ops.linear(
          stream_,
          {.out = y, .x = x, .weight = packed[static_cast<size_t>(i) % weights], .bias = {}});
    });
  }

  Tensor filled(const Shape& shape) const {
    Tensor t(b_.device, dtype_, shape);
    b_.ops.fill_random(stream_, t, 1, 1, 0, 0, shape[1]);
    return t;
  }

 private:
  const Backend& b_;
  Stream stream_;
  DType dtype_;
};

class DeviceMeter {
 public:
  DeviceMeter(const Backend& backend, Stream stream, const ModelConfig& model, DType dtype)
      : b_(backend),
        stream_(stream),
        model_(model),
        dtype_(dtype),
        extent_(extent_of(backend)),
        product_(backend, stream, dtype) {}

  DeviceTimes measure(DeviceTimes d) {
    d.products.clear();
    for (int64_t rows : extent_.rows)
      d.products.push_back({static_cast<double>(rows), products(rows)});
    const auto &few = d.products.front(), &many = d.products.back();
    auto last = [](const DeviceTimes::Product& p) { return p.by_bytes.points().back(); };
    d.bytes_per_s = last(few).size / last(few).seconds;
    d.flops_per_s = 2 * many.rows * last(many).size / element_bytes() / last(many).seconds;
    d.attention_read = TimeTable({decode_attention(1), decode_attention(extent_.sequences)});
    d.attention_flops_per_s = prefill_attention();
    d.small_op_s = small_op();
    return d;
  }

 private:
  double element_bytes() const { return static_cast<double>(size_of(dtype_)); }
  Tensor filled(const Shape& shape) const { return product_.filled(shape); }

  TimeTable products(int64_t rows) {
    std::vector<TimeTable::Point> points;
    for (double bytes : extent_.weight_bytes) {
      auto outputs =
          static_cast<int64_t>(bytes / element_bytes()) / kCols / kOutputMultiple * kOutputMultiple;
      constexpr double kMostOutput = 600e6;
      if (static_cast<double>(rows * outputs) * element_bytes() > kMostOutput) break;
      points.push_back(
          {static_cast<double>(outputs * kCols) * element_bytes(), product(rows, outputs, bytes)});
    }
    return points;
  }

  // Products of few rows take each weight once, those of many as often as a prefill would: at first
  // a GPU is faster than its power lets it be for long.
  int calls_of(int64_t rows, size_t copies) const {
    if (rows <= kFewRows) return static_cast<int>(copies);
    return b_.kind == BackendKind::kCpu ? 2 : rows > 1024 ? 32 : 8;
  }
  double product(int64_t rows, int64_t outputs, double bytes) {
    // The weights of products of few rows must come from memory.
    auto copies = std::clamp<size_t>(static_cast<size_t>(extent_.pool_bytes / bytes), 2, 32);
    return product_.seconds(rows, outputs, kCols, copies, calls_of(rows, copies));
  }

  // Keys and values of some sequences, and a step that attends to them.
  struct Attention {
    Tensor keys, values, qkv, out;
    Tensor table, positions, slots, chunks;
    std::vector<Chunk> host_chunks;
    BatchView batch;
  };
  template <class T>
  Tensor upload(const std::vector<T>& values) {
    Tensor t(b_.device, DType::u8, {static_cast<int64_t>(values.size() * sizeof(T))});
    b_.device.copy(stream_, t.view().data, values.data(), t.bytes());
    b_.device.synchronize(stream_);
    return t;
  }
  int64_t page_size() const { return b_.fixed_page_size > 0 ? b_.fixed_page_size : 64; }

  // `length` positions of each sequence, of which `fresh` are rows of the step.
  Attention attention(int64_t sequences, int64_t length, int64_t fresh) {
    auto heads = model_.num_heads, kv = model_.num_kv_heads, dim = model_.head_dim;
    int64_t pages = ceil_div(length, page_size()), rows = sequences * fresh;
    std::vector<int32_t> table, positions, slots;
    Attention a;
    for (int64_t s = 0; s < sequences; ++s) {
      auto slot = static_cast<int32_t>(s);
      for (int64_t p = 0; p < pages; ++p) table.push_back(static_cast<int32_t>(s * pages + p));
      for (int64_t r = length - fresh; r < length; ++r) {
        positions.push_back(static_cast<int32_t>(r));
        slots.push_back(slot);
      }
      if (fresh > 1)
        a.host_chunks.push_back({slot, static_cast<int32_t>(s * fresh), static_cast<int32_t>(fresh),
                                 static_cast<int32_t>(length - fresh)});
    }
    Shape pool{sequences * pages, kv, page_size(), dim};
    a.keys = Tensor(b_.device, dtype_, pool);
    a.values = Tensor(b_.device, dtype_, pool);
    b_.device.fill(stream_, a.keys.view().data, 0, a.keys.bytes());
    b_.device.fill(stream_, a.values.view().data, 0, a.values.bytes());
    a.qkv = filled({rows, (heads + 2 * kv) * dim});
    a.out = Tensor(b_.device, dtype_, {rows, heads * dim});
    a.table = upload(table);
    a.positions = upload(positions);
    a.slots = upload(slots);
    if (fresh > 1) a.chunks = upload(a.host_chunks);
    auto ints = [](const Tensor& t) { return static_cast<const int32_t*>(t.view().data); };
    a.batch = {
        .num_tokens = static_cast<int32_t>(rows),
        .num_decode = static_cast<int32_t>(fresh > 1 ? 0 : rows),
        .positions = ints(a.positions),
        .slots = ints(a.slots),
        .page_table = ints(a.table),
        .page_table_stride = pages,
        .chunks = a.host_chunks,
        .device_chunks = fresh > 1 ? static_cast<const Chunk*>(a.chunks.view().data) : nullptr,
        .max_kv_length = static_cast<int32_t>(length)};
    return a;
  }

  double seconds(const Attention& a) {
    constexpr int kCalls = 8;
    auto heads = static_cast<int32_t>(model_.num_heads),
         kv = static_cast<int32_t>(model_.num_kv_heads);
    KvPages pages{.k = a.keys, .v = a.values};
    b_.ops.begin_step(stream_, a.batch, {heads, kv, static_cast<int32_t>(model_.head_dim)});
    return seconds_a_call(b_, stream_, kCalls, [&](int) {
      b_.ops.attention(stream_, {a.out, a.qkv, pages, a.batch, heads, kv});
    });
  }

  TimeTable::Point decode_attention(int64_t sequences) {
    double bytes =
        2 * static_cast<double>(sequences * extent_.context * model_.kv_size()) * element_bytes();
    return {bytes, seconds(attention(sequences, extent_.context, 1))};
  }
  double prefill_attention() {
    double pairs = static_cast<double>(extent_.prompts * extent_.prompt_len) *
                   static_cast<double>(extent_.prompt_len) / 2;
    double flops = 4 * pairs * static_cast<double>(model_.q_size());
    return flops / seconds(attention(extent_.prompts, extent_.prompt_len, extent_.prompt_len));
  }

  double small_op() {
    constexpr int kCalls = 32;
    Tensor out = filled({1, kCols}), residual = filled({1, kCols}), delta = filled({1, kCols});
    TensorView weight = delta.view().reshaped({kCols});
    return seconds_a_call(b_, stream_, kCalls, [&](int) {
      b_.ops.add_rms_norm(stream_, {out, residual, delta, weight, 1e-6f, nullptr});
    });
  }

  const Backend& b_;
  Stream stream_;
  const ModelConfig& model_;
  DType dtype_;
  Extent extent_;
  ProductTimer product_;
};

}  // namespace

DeviceTimes measure_best(const Backend& backend, Stream stream) {
  constexpr int64_t kRows = 131072, kCpuSide = 2048;
  bool is_cpu = backend.kind == BackendKind::kCpu;
  int64_t rows = is_cpu ? kRows : 2 * kRows, cols = is_cpu ? 2048 : 4096,
          side = is_cpu ? kCpuSide : 4 * kCpuSide;
  auto size = static_cast<double>(side);
  ProductTimer product(backend, stream, DType::bf16);
  DeviceTimes best{
      .bytes_per_s = 2.0 * static_cast<double>(rows * cols) / product.seconds(1, rows, cols, 1, 1),
      .flops_per_s = 2.0 * size * size * size / product.seconds(side, side, side, 1, 1)};
  if (auto known = known_machine(backend.device_name); known && known->computed_from.empty()) {
    best.bytes_per_s = std::max(best.bytes_per_s, known->device.bytes_per_s);
    best.flops_per_s = std::max(best.flops_per_s, known->device.flops_per_s);
  }
  return best;
}

DeviceTimes measure_device(const Backend& backend, Stream stream, const ModelConfig& model,
                           DType dtype, DeviceTimes preset) {
  return DeviceMeter(backend, stream, model, dtype).measure(std::move(preset));
}

}  // namespace ll
