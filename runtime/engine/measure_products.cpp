#include "runtime/engine/measure_products.h"

#include <algorithm>
#include <cstdlib>

#include "runtime/engine/step_tuner.h"

namespace ll {
namespace {

constexpr int32_t kMostRows = 64;  // beyond, what a step shows of some layers is not what all gain
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
  return static_cast<size_t>(std::max(kLeastLayers, (kLayersBytes + bytes - 1) / bytes));
}

// Keys and values go to the first page.
void measure_alone(const Backend& backend, Stream stream, Decoder& model, const KvCache& kv,
                   TensorView logits, const std::vector<int64_t>& buckets) {
  int64_t span = kv.positions().span(), most = buckets.back();
  Tensor positions = uploaded(backend, stream, numbers(most, [&](int64_t i) { return i % span; })),
         zeros = uploaded(backend, stream, std::vector<int32_t>(static_cast<size_t>(most)));
  for (int64_t n : buckets) {
    auto rows = static_cast<int32_t>(n);
    model.do_products(stream,
                      {.num_tokens = rows,
                       .num_decode = rows,
                       .positions = data_of(positions),
                       .slots = data_of(zeros),
                       .page_table = data_of(zeros),
                       .page_table_stride = 1,
                       .max_kv_length = static_cast<int32_t>(span)},
                      kv, logits.rows(0, std::min(n, logits.dim(0))));
  }
  backend.device.synchronize(stream);
}

// Decode steps of sequences of the same length, on pages of their own as far as there are so many.
void measure_in_steps(const Backend& backend, Stream stream, const MpiGroup& replica,
                      Decoder& model, const KvCache& kv, const MeasuredSteps& steps) {
  int64_t most = steps.decode_rows.back(), span = kv.positions().span(),
          context = std::min(kContext, steps.max_length), pages = (context + span - 1) / span;
  auto upload = [&](const std::vector<int32_t>& v) { return uploaded(backend, stream, v); };
  Tensor ids = upload(numbers(most, [&](int64_t i) { return 37 * i % model.config().vocab_size; })),
         positions = upload(numbers(most, [&](int64_t) { return context - 1; })),
         slots = upload(numbers(most, [&](int64_t i) { return i; })),
         table = upload(numbers(most * pages, [&](int64_t i) { return i % kv.num_pages(); }));
  for (size_t i = steps.decode_rows.size(); i-- > 0;) {  // a choice's largest number of rows first
    int32_t rows = steps.decode_rows[i];
    if (rows > kMostRows || (rows == 1 && model.can_decode_one(0))) continue;
    StepInputs inputs{.batch = {.num_tokens = rows,
                                .num_decode = rows,
                                .positions = data_of(positions),
                                .slots = data_of(slots),
                                .page_table = data_of(table),
                                .page_table_stride = pages,
                                .max_kv_length = static_cast<int32_t>(context)},
                      .ids = data_of(ids),
                      .last_tokens = data_of(ids),
                      .most_layers = num_layers(model)};
    StepTuner tuner(backend, stream, replica, [&] { model.forward(stream, inputs, kv); });
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
