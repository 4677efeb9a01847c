// A model on all ranks against the same model on one, inside the same process.
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/support/compare.h"
#include "tests/support/test_model.h"
#include "tests/support/tiny_config.h"

using namespace ll;
using namespace ll::test;

namespace {

using Span = std::span<const float>;

std::vector<int32_t> make_prompt(int32_t length, int32_t vocab, int32_t seed) {
  std::vector<int32_t> ids;
  for (int32_t i = 0; i < length; ++i) ids.push_back((i * i * 7 + i * 13 + seed) % vocab);
  return ids;
}

std::vector<int32_t> greedy(TestModel& m, const std::vector<int32_t>& prompt, int count) {
  std::vector<int32_t> tokens;
  TensorView hidden = m.forward(prompt);
  auto position = static_cast<int32_t>(prompt.size());
  std::vector<float> logits = m.logits(hidden.rows(hidden.dim(0) - 1, 1));
  for (int i = 0; i < count; ++i) {
    tokens.push_back(
        static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin()));
    logits = m.logits(m.forward({tokens.back()}, position++));
  }
  return tokens;
}

const std::vector<std::pair<int64_t, int64_t>> kHeads{{4, 2}, {6, 2},  {7, 1},
                                                      {8, 4}, {14, 2}, {5, 5}};

}  // namespace

TEST_CASE("tensor parallel: logits of all ranks are one rank's, also where heads are uneven") {
  for (auto [heads, kv] : kHeads)
    for (DType dtype : model_dtypes()) {
      CAPTURE(heads);
      CAPTURE(kv);
      CAPTURE(name_of(dtype));
      ModelConfig config = tiny_config(heads, kv, heads % 4 == 0);
      TestModel all(config, dtype, 11, mpi().world()), one(config, dtype, 11, MpiGroup());
      double tolerated = dtype == DType::f32 ? 1e-5 : tolerance(dtype).logits;
      for (int32_t length : {1, 37}) {
        auto prompt = make_prompt(length, 301, length);
        auto got = all.logits(all.forward(prompt)), want = one.logits(one.forward(prompt));
        CHECK(relative_error(Span(got), Span(want)) < tolerated);
        // Continued from the pages, in a chunk and token by token.
        auto more = make_prompt(5, 301, 99);
        got = all.logits(all.forward(more, length)), want = one.logits(one.forward(more, length));
        CHECK(relative_error(Span(got), Span(want)) < tolerated);
      }
    }
}

TEST_CASE("tensor parallel: greedy tokens") {
  for (auto [heads, kv] : kHeads) {
    CAPTURE(heads);
    CAPTURE(kv);
    ModelConfig config = tiny_config(heads, kv, true);
    DType dtype = model_dtypes().front();
    TestModel all(config, dtype, 3, mpi().world()), one(config, dtype, 3, MpiGroup());
    auto prompt = make_prompt(20, 301, 1);
    CHECK(greedy(all, prompt, 24) == greedy(one, prompt, 24));
  }
}

TEST_CASE("tensor parallel: all ranks hold the same hidden bits") {
  ModelConfig config = tiny_config(6, 2);
  for (DType dtype : model_dtypes()) {
    TestModel m(config, dtype, 5, mpi().world());
    auto hidden = download_floats(m.forward(make_prompt(30, 301, 2)));
    int64_t hash = 0;
    for (float x : hidden) hash = hash * 31 + std::bit_cast<int32_t>(x);
    CHECK(mpi().world().min(hash) == mpi().world().max(hash));
  }
}

TEST_CASE("tensor parallel: the likelihood of a text over the shards of the vocabulary") {
  ModelConfig config = tiny_config(4, 2);
  DType dtype = model_dtypes().front();
  TestModel all(config, dtype, 7, mpi().world()), one(config, dtype, 7, MpiGroup());
  auto prompt = make_prompt(25, 301, 3), targets = make_prompt(25, 301, 4);
  double got = all.negative_log_likelihood(all.forward(prompt), targets),
         want = one.negative_log_likelihood(one.forward(prompt), targets);
  CHECK(got == doctest::Approx(want).epsilon(1e-5));
  CHECK(want ==
        doctest::Approx(25 * std::log(301.0)).epsilon(0.1));  // a random model knows nothing
}
