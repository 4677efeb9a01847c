#include "runtime/engine/measure_products.h"

#include <algorithm>
#include <cstdlib>

#include "base/numbers.h"
#include "kernels/few_rows.h"
#include "runtime/engine/measure_decode_one.h"
#include "runtime/engine/step_tuner.h"

namespace ll {
namespace {

// Steps of few rows, drafts' among them, are the least like their products alone.
constexpr int32_t kCarefulRows = 8;
constexpr int64_t kContext = 512;  // of a measured decode step's sequences
// Layers of it: as many as have so many bytes of weights, more than caches hold; and not so few
// that the first one, whose norm stands alone, counts.
constexpr int64_t kLayersBytes = int64_t{200} << 20, kLeastLayers = 3;

int32_t* data_of(const Tensor& t) { return static_cast<int32_t*>(t.view().data); }

Tensor uploaded(const MeasuredModel& m, const std::vector<int32_t>& values) {
  const DeviceApi& device = m.backend.device;
  Tensor t(device, DType::i32, {static_cast<int64_t>(values.size())});
  device.copy(m.stream, t.view().data, values.data(), t.bytes());
  device.synchronize(m.stream);
  return t;
}

template <class ValueOf>
std::vector<int32_t> numbers(int64_t count, ValueOf&& value_of) {
  std::vector<int32_t> values;
  for (int64_t i = 0; i < count; ++i) values.push_back(static_cast<int32_t>(value_of(i)));
  return values;
}

// The products of a step without what is between them, and of as many logits as there is room for.
// One layer's, and where norms may be deferred, two layers' so: only the first norm stands alone.
void do_products(const MeasuredModel& m, const BatchView& batch) {
  Decoder& decoder = m.decoder;
  int64_t num_layers = decoder.config().num_layers;
  for (bool may_defer : {false, true}) {
    bool defers = decoder.begin_products(m.stream, batch, may_defer);
    if (may_defer && !defers) break;
    for (int64_t l = 0; l < (may_defer ? std::min<int64_t>(2, num_layers) : 1); ++l)
      decoder.layer_products(m.stream, static_cast<size_t>(l), m.kv);
  }
  int64_t rows = std::min<int64_t>(batch.num_tokens, m.logits.dim(0));
  decoder.logits(m.stream, decoder.normed().rows(0, rows), m.logits.rows(0, rows));
}

// Keys and values go to the first page.
void measure_alone(const MeasuredModel& m, const std::vector<int64_t>& buckets) {
  int64_t span = m.kv.positions().span(), most = buckets.back();
  Tensor positions = uploaded(m, numbers(most, [&](int64_t i) { return i % span; })),
         zeros = uploaded(m, std::vector<int32_t>(static_cast<size_t>(most)));
  for (int64_t n : buckets) {
    auto rows = static_cast<int32_t>(n);
    do_products(m, {.num_tokens = rows,
                    .num_decode = rows,
                    .positions = data_of(positions),
                    .slots = data_of(zeros),
                    .page_table = data_of(zeros),
                    .page_table_stride = 1,
                    .max_kv_length = static_cast<int32_t>(span)});
  }
  m.backend.device.synchronize(m.stream);
}

// Decode steps of sequences of the same length, on pages of their own as far as there are so many.
void measure_in_steps(const MeasuredModel& m, const MeasuredSteps& steps) {
  Decoder& decoder = m.decoder;
  int64_t most = steps.decode_rows.back(), span = m.kv.positions().span(),
          context = std::min(kContext, steps.max_length), pages = ceil_div(context, span);
  auto upload = [&](const std::vector<int32_t>& v) { return uploaded(m, v); };
  Tensor ids =
             upload(numbers(most, [&](int64_t i) { return 37 * i % decoder.config().vocab_size; })),
         positions = upload(numbers(most, [&](int64_t) { return context - 1; })),
         slots = upload(numbers(most, [&](int64_t i) { return i; })),
         table = upload(numbers(most * pages, [&](int64_t i) { return i % m.kv.num_pages(); }));
  auto layers = static_cast<size_t>(num_measured_layers(decoder.config(), decoder.dtype()));
  for (size_t i = steps.decode_rows.size(); i-- > 0;) {  // a choice's largest number of rows first
    int32_t rows = steps.decode_rows[i];
    // With more rows, what a step of some layers shows is not what all of them gain.
    bool has_kernel = rows == 1 && decoder.can_decode_one(0) && !may_forget_decode_one(m);
    if (rows > kFewRows || has_kernel) continue;
    StepInputs inputs{.batch = {.num_tokens = rows,
                                .num_decode = rows,
                                .positions = data_of(positions),
                                .slots = data_of(slots),
                                .page_table = data_of(table),
                                .page_table_stride = pages,
                                .max_kv_length = static_cast<int32_t>(context)},
                      .ids = data_of(ids),
                      .last_tokens = data_of(ids)};
    StepTuner tuner(m.backend, m.stream, m.replica, [&] {
      decoder.begin(m.stream, inputs, m.kv);
      for (size_t l = 0; l < layers; ++l) decoder.layer(m.stream, l, m.kv);
      decoder.finish(m.stream);
    });
    tuner.run(rows <= kCarefulRows ? StepTuner::Care::kFromBothEnds : StepTuner::Care::kOnce);
    if (m.replica.rank() == 0 && std::getenv("LITELANG_LINEAR_LOG"))
      fmt::print(stderr, "{}", tuner.report());
  }
}

}  // namespace

int64_t num_measured_layers(const ModelConfig& config, DType dtype) {
  int64_t bytes = config.layer_weights() * static_cast<int64_t>(size_of(dtype));
  return std::min(std::max(kLeastLayers, ceil_div(kLayersBytes, bytes)), config.num_layers);
}

void measure_products(const MeasuredModel& model, const MeasuredSteps& steps) {
  if (!model.backend.linear_tuning) return;
  std::vector<int64_t> buckets = model.backend.linear_tuning->buckets(steps.max_tokens);
  if (!buckets.empty()) measure_alone(model, buckets);
  if (!steps.decode_rows.empty()) measure_in_steps(model, steps);
}

}  // namespace ll
