// Speed of `linear` on the products of Qwen2.5, each beside its floor: reading the weights for few
// rows of x, the rate of the matrix units for many. usage: bench_linear [--models 1.5b,7b]
// [--shapes qkv,down] [--rows 1,8,2048] [--parts TENSOR_PARALLEL_RANKS]
#include <fmt/core.h>

#include "base/numbers.h"
#include "kernels/cuda/linear/linear.h"
#include "perf/graph_timer.h"

using namespace ll;
using namespace ll::perf;

namespace {

constexpr int64_t kBeyondCache = int64_t{160} << 20;  // bytes of weights that calls rotate over
constexpr int64_t kMostLogitRows = 256;

struct Product {
  const char* name;
  int64_t rows, cols;
  bool has_bias = false, is_silu = false, is_logits = false;

  int64_t weight_bytes() const { return rows * cols * 2; }
  int64_t out_width() const { return is_silu ? rows / 2 : rows; }
};

// One rank's products when a layer is cut into `parts`.
std::vector<Product> products_of(const ModelShape& m, int64_t parts) {
  int64_t q = m.heads * m.head_dim / parts,
          kv = std::max<int64_t>(m.kv_heads / parts, 1) * m.head_dim;
  return {{.name = "qkv", .rows = q + 2 * kv, .cols = m.hidden, .has_bias = true},
          {.name = "o", .rows = m.hidden, .cols = q},
          {.name = "gate_up", .rows = 2 * m.ffn / parts, .cols = m.hidden, .is_silu = true},
          {.name = "down", .rows = m.hidden, .cols = m.ffn / parts},
          {.name = "lm_head", .rows = m.vocab / parts, .cols = m.hidden, .is_logits = true}};
}

struct Weights {
  std::vector<Tensor> storage;
  std::vector<Weight> copies;
};

Weights make_weights(const Backend& backend, Stream stream, const Product& p) {
  Weights w;
  int64_t count = std::max<int64_t>(1, ceil_div(kBeyondCache, p.weight_bytes()));
  for (int64_t i = 0; i < count; ++i) {
    Tensor natural(backend.device, DType::bf16, {p.rows, p.cols});
    backend.ops.fill_random(stream, natural, static_cast<uint64_t>(i), 0.05f, 0, 0, p.cols);
    w.storage.emplace_back();
    w.copies.push_back(backend.ops.pack_weight(stream, natural, w.storage.back()));
  }
  backend.device.synchronize(stream);
  return w;
}

void bench(const Backend& backend, const GraphTimer& timer, const ModelShape& model,
           const Product& p, const Weights& w, int64_t num_x) {
  Tensor x(backend.device, DType::bf16, {num_x, p.cols}),
      bias(backend.device, DType::bf16, {p.rows});
  Tensor out(backend.device, p.is_logits ? DType::f32 : DType::bf16, {num_x, p.out_width()});
  backend.ops.fill_random(timer.stream(), x, 1, 1.0f, 0, 0, p.cols);
  backend.ops.fill_random(timer.stream(), bias, 2, 1.0f, 0, 0, 1);
  auto args = [&](size_t copy) {
    return LinearArgs{out, x, w.copies[copy % w.copies.size()],
                      p.has_bias ? bias.view() : TensorView{},
                      p.is_silu ? Ending::silu_and_mul() : Ending()};
  };
  int calls = num_x >= 2048 ? 5 : std::max(20, static_cast<int>(w.copies.size()));
  double us = timer.microseconds(
      calls, [&](int i) { backend.ops.linear(timer.stream(), args(static_cast<size_t>(i))); });
  double bytes =
      static_cast<double>(p.weight_bytes()) + static_cast<double>(x.bytes() + out.bytes());
  double tbs = bytes / us / 1e6,
         tflops = 2.0 * static_cast<double>(num_x * p.rows * p.cols) / us / 1e6;
  fmt::print("{:5} {:8} {:6} x {:5} {:5} {:9.1f} {:6.2f} {:5.0f} {:7.1f} {:5.0f}  {}\n", model.name,
             p.name, p.rows, p.cols, num_x, us, tbs, 100 * tbs / kReadTbs, tflops,
             100 * tflops / kProductTflops, cuda::linear_choice(timer.stream(), args(0)));
  std::fflush(stdout);
}

int run(int argc, char** argv) {
  auto models = list_option(argc, argv, "models"), shapes = list_option(argc, argv, "shapes"),
       row_list = list_option(argc, argv, "rows");
  auto parts = list_option(argc, argv, "parts");
  std::vector<int64_t> rows{1, 2, 4, 8, 16, 32, 64, 128, 256, 2048, 8192};
  if (!row_list.empty()) rows.clear();
  for (const std::string& r : row_list) rows.push_back(std::stoll(r));
  Backend backend = open_backend(BackendKind::kCuda, 0, 0);
  GraphTimer timer(backend);
  fmt::print(
      "{}; floors {} TB/s and {} TFLOP/s\nmodel product       N x     K     M        us   TB/s     "
      "%  TFLOP/s     %  way\n",
      backend.device_name, kReadTbs, kProductTflops);
  for (const ModelShape& model : kModels)
    for (const Product& p : products_of(model, parts.empty() ? 1 : std::stoll(parts[0]))) {
      if (!names(models, model.name) || !names(shapes, p.name)) continue;
      Weights w = make_weights(backend, timer.stream(), p);
      for (int64_t num_x : rows)
        if (!p.is_logits || num_x <= kMostLogitRows) bench(backend, timer, model, p, w, num_x);
    }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& e) {
    fmt::print(stderr, "bench_linear: {}\n", e.what());
    return 1;
  }
}
