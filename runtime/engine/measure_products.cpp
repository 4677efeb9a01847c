#include "runtime/engine/measure_products.h"

#include <algorithm>
#include <cstdlib>

#include "base/numbers.h"
#include "kernels/few_rows.h"
#include "runtime/engine/step_tuner.h"

namespace ll {
namespace {

constexpr int64_t kContext = 512;  // of a measured decode step's sequences
// Layers of it: as many as have so many bytes of weights, more than caches hold; and not so few
// that the first one, whose norm stands alone, counts.
constexpr int64_t kLayersBytes = int64_t{200} << 20, kLeastLayers = 3;

int32_t* data_of(const Tensor& t) { return static_cast<int32_t*>(t.view().data); }

Tensor uploaded(const Backend& backend, Stream stream, const std::vector<int32_t>& values) {
  Tensor t(backend.device, DType::i32, {static_cast<int64_t>(values.size())});
  backend.device.copy(stream, t.view().data, values.data(), t.bytes());
  backend.device.synchronize(stream);
  return t;
}

template <class ValueOf>
std::vector<int32_t> numbers(int64_t count, ValueOf&& value_of) {
  std::vector<int32_t> values;
  for (int64_t i = 0; i < count; ++i) values.push_back(static_cast<int32_t>(value_of(i)));
  return values;
}

size_t num_layers(const Decoder& model) {
  int64_t bytes = model.config().layer_weights() * static_cast<int64_t>(size_of(model.dtype()));
  int64_t wanted = std::max(kLeastLayers, ceil_div(kLayersBytes, bytes));
  return static_cast<size_t>(std::min(wanted, model.config().num_layers));
}

// The products of a step without what is between them, and of as many logits as there is room for.
// One layer's, and where norms may be deferred, two layers' so: only the first norm stands alone.
void do_products(const Backend& backend, Stream stream, Decoder& model, const BatchView& batch,
                 const KvCache& kv, TensorView logits) {
  auto& [x, attention, attention_out, gate_up, down] = model.parts();
  const Activations& a = model.activations();
  ColumnRows heads{.data = a.attention, .stride = batch.num_tokens},
      mlp{.data = a.act, .stride = batch.num_tokens};
  for (bool may_defer : {false, true}) {
    x.begin(stream, model.rows_of(batch, /*gathered=*/false), may_defer);
    if (may_defer && !x.defers()) break;
    for (TensorView t : {x.residual(), heads.of_column(0, batch.num_tokens)})
      backend.ops.fill_random(stream, t, 0, 1.0f, 0, 0, t.dim(1));
    int64_t layers = may_defer ? std::min<int64_t>(2, model.config().num_layers) : 1;
    for (int64_t l = 0; l < layers; ++l) {
      const LayerView& w = model.own_layer(static_cast<size_t>(l));
      x.norm(stream, static_cast<size_t>(2 * l));
      attention.project(stream, w, x, kv.layer(l));
      attention_out(stream, w, heads, x);
      x.norm(stream, static_cast<size_t>(2 * l + 1));
      gate_up(stream, w, w.size(), x, mlp, Ending::silu_and_mul());
      down(stream, w, mlp, x);
    }
  }
  model.logits(stream, x.normed().rows(0, logits.dim(0)), logits);
}

// Keys and values go to the first page.
void measure_alone(const Backend& backend, Stream stream, Decoder& model, const KvCache& kv,
                   TensorView logits, const std::vector<int64_t>& buckets) {
  int64_t span = kv.positions().span(), most = buckets.back();
  Tensor positions = uploaded(backend, stream, numbers(most, [&](int64_t i) { return i % span; })),
         zeros = uploaded(backend, stream, std::vector<int32_t>(static_cast<size_t>(most)));
  for (int64_t n : buckets) {
    auto rows = static_cast<int32_t>(n);
    BatchView batch{.num_tokens = rows,
                    .num_decode = rows,
                    .positions = data_of(positions),
                    .slots = data_of(zeros),
                    .page_table = data_of(zeros),
                    .page_table_stride = 1,
                    .max_kv_length = static_cast<int32_t>(span)};
    do_products(backend, stream, model, batch, kv, logits.rows(0, std::min(n, logits.dim(0))));
  }
  backend.device.synchronize(stream);
}

// Decode steps of sequences of the same length, on pages of their own as far as there are so many.
void measure_in_steps(const Backend& backend, Stream stream, const MpiGroup& replica,
                      Decoder& model, const KvCache& kv, const MeasuredSteps& steps) {
  int64_t most = steps.decode_rows.back(), span = kv.positions().span(),
          context = std::min(kContext, steps.max_length), pages = ceil_div(context, span);
  auto upload = [&](const std::vector<int32_t>& v) { return uploaded(backend, stream, v); };
  Tensor ids = upload(numbers(most, [&](int64_t i) { return 37 * i % model.config().vocab_size; })),
         positions = upload(numbers(most, [&](int64_t) { return context - 1; })),
         slots = upload(numbers(most, [&](int64_t i) { return i; })),
         table = upload(numbers(most * pages, [&](int64_t i) { return i % kv.num_pages(); }));
  size_t layers = num_layers(model);
  for (size_t i = steps.decode_rows.size(); i-- > 0;) {  // a choice's largest number of rows first
    int32_t rows = steps.decode_rows[i];
    // With more rows, what a step of some layers shows is not what all of them gain.
    if (rows > kFewRows || (rows == 1 && model.can_decode_one(0))) continue;
    StepInputs inputs{.batch = {.num_tokens = rows,
                                .num_decode = rows,
                                .positions = data_of(positions),
                                .slots = data_of(slots),
                                .page_table = data_of(table),
                                .page_table_stride = pages,
                                .max_kv_length = static_cast<int32_t>(context)},
                      .ids = data_of(ids),
                      .last_tokens = data_of(ids)};
    StepTuner tuner(backend, stream, replica, [&] {
      model.begin(stream, inputs, kv);
      for (size_t l = 0; l < layers; ++l) model.layer(stream, l, kv);
      model.finish(stream);
    });
    tuner.run();
    if (replica.rank() == 0 && std::getenv("LITELANG_LINEAR_LOG"))
      fmt::print(stderr, "{}", tuner.report());
  }
}

}  // namespace

void measure_products(const Backend& backend, Stream stream, const MpiGroup& replica,
                      Decoder& model, const KvCache& kv, TensorView logits,
                      const MeasuredSteps& steps) {
  if (!backend.linear_tuning) return;
  std::vector<int64_t> buckets = backend.linear_tuning->buckets(steps.max_tokens);
  if (!buckets.empty()) measure_alone(backend, stream, model, kv, logits, buckets);
  if (!steps.decode_rows.empty()) measure_in_steps(backend, stream, replica, model, kv, steps);
}

}  // namespace ll
