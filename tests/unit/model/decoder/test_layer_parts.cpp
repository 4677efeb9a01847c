// The parts of a layer one by one, on one rank: which norms are deferred, and what merged columns
// make of a product.
#include <doctest/doctest.h>

#include "model/decoder/column_linear.h"
#include "model/decoder/row_linear.h"
#include "tests/support/device.h"
#include "tests/support/tiny_config.h"

using namespace ll;
using namespace ll::test;

namespace {

Backend deferring_backend() {
  Backend on = backend();
  on.defers_norms = true;
  return on;
}

// Its FFN has an even number of parts of eight columns.
ModelConfig even_config() {
  ModelConfig config = tiny_config(4, 2);
  config.intermediate_size = 176;
  return config;
}

// A model of two layers in `columns` merged columns, all of which are on this rank.
struct Parts {
  explicit Parts(DType dtype, int columns = 1, const Backend& on = backend())
      : shape{.z = columns},
        shard(shard_of(config, shape, {})),
        weights(random_weights(config, shard, dtype, backend(), stream(), 1)),
        activations(on, {config, shard, dtype}, 300),
        context{config, shard, on, grid, activations},
        x(context, weights) {
    for (int j = 0; j < columns; ++j) {
      columns_of_layer.push_back(random_weights(config, shard_of(config, shape, place_of(shape, j)),
                                                dtype, backend(), stream(), 1));
      layer.push_back(own_column(*config.family, columns_of_layer.back().layers[0]));
    }
  }

  StepRows rows(int32_t count) const {
    return {.batch = {.num_tokens = count}, .all = count, .share = count, .mine = count};
  }

  ModelConfig config = even_config();
  GridShape shape;
  ProcessGrid grid{backend(), MpiGroup(), GridShape{}};
  ModelShard shard;
  DecoderWeights weights;
  std::vector<DecoderWeights> columns_of_layer;
  LayerView layer;
  Activations activations;
  LayerContext context;
  NormedStream x;
};

// The MLP of layer 0 on 5 rows.
std::vector<float> mlp_of(Parts& p) {
  constexpr int32_t kRows = 5;
  p.x.begin(stream(), p.rows(kRows));
  backend().ops.fill_random(stream(), p.x.residual(), 3, 1, 0, 0, p.config.hidden_size);
  p.x.norm(stream(), 0);
  ColumnRows act{.data = p.activations.act, .stride = kRows};
  Tensor wide(backend().device, DType::f32, {2 * kRows, p.shard.ffn.size});
  act.data = wide;
  ColumnLinear(p.context, WeightPart::kGateUp)(stream(), p.layer, p.layer.size(), p.x, act,
                                               Ending::silu_and_mul());
  RowLinear(p.context, WeightPart::kDown)(stream(), p.layer, act, p.x);
  Tensor sum(backend().device, DType::f32, {kRows, p.config.hidden_size});
  backend().device.copy(stream(), sum.view().data, p.x.addend().data, sum.bytes());
  return download_floats(sum);
}

}  // namespace

TEST_CASE("stream: all norms but the first and the last are deferred, where that is faster") {
  Backend on = deferring_backend();
  Parts p(DType::bf16, 1, on);
  for (int32_t count : {1, 4, 256, 257})
    for (bool may_defer : {false, true}) {
      CAPTURE(count);
      CAPTURE(may_defer);
      p.x.begin(stream(), p.rows(count), may_defer);
      backend().device.fill(stream(), p.x.residual().data, 0, p.x.residual().bytes());
      bool defers = may_defer && count <= kMostDeferredRows;
      CHECK(p.x.defers() == defers);
      size_t last = p.x.num_norms() - 1;
      CHECK(last == 4);
      for (size_t i = 0; i <= last; ++i) {
        p.x.norm(stream(), i);
        CHECK((p.x.scale() != nullptr) == (defers && i > 0 && i < last));
        const AddRmsNormArgs* next = p.x.norm_of_product();
        CHECK((next != nullptr) == (defers && i + 1 < last));
        if (next && i == 1)  // of layer 1's attention
          CHECK(next->weight.data == p.weights.layers[1][WeightPart::kInputNorm].vector().data);
      }
    }
}

TEST_CASE("stream: gathered rows and backends without it do not defer") {
  Backend on = deferring_backend();
  Parts p(DType::bf16, 1, on), plain(DType::bf16);
  StepRows rows = p.rows(8);
  rows.gathered = true;
  p.x.begin(stream(), rows);
  CHECK(!p.x.defers());
  plain.x.begin(stream(), plain.rows(8));
  CHECK(!plain.x.defers());
}

TEST_CASE("products of merged columns add up to those of the whole") {
  Parts whole(DType::f32), two(DType::f32, 2);
  CHECK(two.layer.size() == 2);
  auto want = mlp_of(whole), got = mlp_of(two);
  REQUIRE(want.size() == got.size());
  double largest = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    largest = std::max<double>(largest, std::abs(want[i]));
    CHECK(got[i] == doctest::Approx(want[i]).epsilon(1e-4).scale(0.01));
  }
  CHECK(largest > 1e-4);
}
