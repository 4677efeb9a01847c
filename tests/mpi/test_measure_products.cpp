#include "runtime/engine/measure_products.h"

#include <doctest/doctest.h>

#include <numeric>

#include "tests/support/rehearsal.h"
#include "tests/support/test_model.h"
#include "tests/support/tiny_config.h"

using namespace ll;
using namespace ll::test;

namespace {

const std::vector<int32_t> kPrompt = [] {
  std::vector<int32_t> ids(70);
  std::iota(ids.begin(), ids.end(), 3);
  return ids;
}();

// The logits of the prompt's last token, and of the one after it, decoded.
std::vector<float> logits_of(TestModel& m) {
  TensorView hidden = m.forward(kPrompt);
  auto logits = m.logits(hidden.rows(hidden.dim(0) - 1, 1));
  auto next = m.logits(m.forward({9}, static_cast<int32_t>(kPrompt.size())));
  logits.insert(logits.end(), next.begin(), next.end());
  return logits;
}

void measure(const Backend& b, TestModel& m, const MeasuredSteps& steps) {
  Tensor logits(backend().device, DType::f32, {8, m.shard().vocab.size});
  MpiGroup alone;
  measure_products({b, stream(), alone, m.model(), m.kv(), logits}, steps);
}

}  // namespace

TEST_CASE("products are measured in captured steps of up to 64 rows, and the model is as it was") {
  TestModel m(tiny_config(4, 2), DType::f32, 1, MpiGroup());
  std::vector<float> want = logits_of(m);
  Rehearsal r;
  measure(r.backend(), m, {256, {1, 2, 8, 64, 72, 96}, TestModel::kPositions});
  CHECK(r.num_watches == 4);
  CHECK(r.num_runs > 4 * Rehearsal::kShapes * Rehearsal::kWays);
  CHECK(r.num_open_graphs == 0);
  CHECK(logits_of(m) == want);
}

TEST_CASE("steps are not measured where there are none, nor where products have one way") {
  TestModel m(tiny_config(4, 2), DType::f32, 1, MpiGroup());
  Rehearsal r;
  measure(r.backend(), m, {256, {}, TestModel::kPositions});
  CHECK(r.num_watches == 0);
  measure(backend(), m, {256, {1, 2, 8}, TestModel::kPositions});  // nothing to choose
}
