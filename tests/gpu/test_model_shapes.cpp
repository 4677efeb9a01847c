// Models in the shapes of Qwen2.5 with random weights: all GPUs of the job give one GPU's logits.
#include <algorithm>

#include "tests/gpu/shapes.h"
#include "tests/support/margin.h"

using namespace ll;
using namespace ll::test;

namespace {

using Span = std::span<const float>;
const char* const kShapes[] = {"0.5b", "1.5b", "3b", "7b"};

struct Best {
  int32_t token;
  float margin;
};
Best best_of(const std::vector<float>& logits) {
  auto top = std::max_element(logits.begin(), logits.end());
  float second = -1e30f;
  for (auto it = logits.begin(); it != logits.end(); ++it)
    if (it != top) second = std::max(second, *it);
  return {static_cast<int32_t>(top - logits.begin()), *top - second};
}

}  // namespace

TEST_CASE("shapes: prefill, then decode, on all GPUs and on one") {
  for (std::string shape : kShapes) {
    CAPTURE(shape);
    ModelConfig config = config_of(shape);
    TestModel all(config, DType::bf16, 11, mpi().world()), one(config, DType::bf16, 11, MpiGroup());
    std::vector<int32_t> next = make_prompt(333);
    int32_t position = 0;
    for (int step = 0; step < 9; ++step) {
      CAPTURE(step);
      auto got = last_logits(all, next, position), want = last_logits(one, next, position);
      // Each may be off by the tolerance.
      CHECK(relative_error(Span(got), Span(want)) < 2 * tolerance(DType::bf16).logits);
      Best best = best_of(want);
      if (best_of(got).token != best.token)
        CHECK(best.margin < tolerance(DType::bf16).greedy_margin);
      position += static_cast<int32_t>(next.size());
      // GPUs choose their kernels by timing, so a close call may go either way.
      mpi().world().broadcast(&best.token, sizeof best.token, 0);
      next = {best.token};
    }
  }
}

TEST_CASE("shapes: the ranks' residuals hold the same bits, for few rows and for many") {
  ModelConfig config = config_of("1.5b");
  config.num_layers = 3;
  TestModel m(config, DType::bf16, 5, mpi().world());
  for (int32_t rows : {1, 2, 17, 64, 65, 700}) {
    CAPTURE(rows);
    int64_t hash = 0;
    for (float x : download_floats(m.forward(make_prompt(rows))))
      hash = hash * 31 + std::bit_cast<int32_t>(x);
    CHECK(mpi().world().min(hash) == mpi().world().max(hash));
  }
}
