#include "runtime/bench/bench_floor.h"

#include <doctest/doctest.h>

#include "tests/support/tiny_config.h"

using namespace ll;
using namespace ll::test;

namespace {

const DeviceTimes kRates{.bytes_per_s = 4.37e12, .flops_per_s = 792e12};

ModelConfig qwen_7b() {
  ModelConfig c;
  c.hidden_size = 3584;
  c.intermediate_size = 18944;
  c.num_layers = 28;
  c.num_heads = 28;
  c.num_kv_heads = 4;
  c.head_dim = 128;
  c.vocab_size = 152064;
  return c;
}

BenchModel model_7b(int ranks = 1) { return bench_model(qwen_7b(), "7b", DType::bf16, ranks); }

}  // namespace

TEST_CASE("floors: what a model reads and multiplies") {
  BenchModel m = model_7b();
  CHECK(m.whole.weight_bytes() / 1e9 == doctest::Approx(14.14).epsilon(0.001));
  CHECK(m.whole.kv_bytes() == 57344);
  CHECK(m.whole.flops_per_row() / 2e9 == doctest::Approx(6.525).epsilon(0.001));
  CHECK(m.whole.flops_per_sample() / 2e9 == doctest::Approx(0.545).epsilon(0.001));
  CHECK(m.whole.flops_per_pair() == 4.0 * 28 * 3584);
  CHECK(bench_model(qwen_7b(), "7b", DType::f32, 1).whole.weight_bytes() ==
        2 * m.whole.weight_bytes());
  ModelConfig tied = tiny_config(4, 2, true), untied = tiny_config(4, 2, false);
  CHECK(bench_model(tied, "", DType::bf16, 1).whole.weight_bytes() ==
        bench_model(untied, "", DType::bf16, 1).whole.weight_bytes());
}

TEST_CASE("floors: weights and cached positions decide a decode step of few sequences") {
  BenchModel m = model_7b();
  Floor f = step_floor(m, kRates, StepWork::decode(1, 600));
  CHECK(f.seconds() == (m.whole.weight_bytes() + 600 * m.whole.kv_bytes()) / 4.37e12);
  CHECK(f.seconds() * 1e3 == doctest::Approx(3.24).epsilon(0.01));
  CHECK(f.limit() == std::string("bandwidth"));
  CHECK(step_floor(m, kRates, StepWork::decode(40, 900)).seconds() ==
        (m.whole.weight_bytes() + 40 * 900 * m.whole.kv_bytes()) / 4.37e12);
  CHECK(step_floor(model_7b(4), kRates, StepWork::decode(1, 600)).seconds() ==
        doctest::Approx(f.seconds() / 4).epsilon(1e-12));
}

TEST_CASE("floors: the matrix rate decides a decode step of many") {
  BenchModel m = model_7b();
  Floor f = step_floor(m, kRates, StepWork::decode(1000, 10));
  CHECK(f.limit() == std::string("matrix rate"));
  CHECK(f.seconds() ==
        1000 *
            (m.whole.flops_per_row() + m.whole.flops_per_sample() + 11 * m.whole.flops_per_pair()) /
            792e12);
}

TEST_CASE("floors: prompts are multiplied, and attend to what comes before") {
  BenchModel m = model_7b();
  Floor f = step_floor(m, kRates, StepWork::prefill(8, 2048));
  double pairs = 8 * 2048.0 * 2049 / 2;
  CHECK(f.limit() == std::string("matrix rate"));
  CHECK(f.seconds() == (8 * 2048 * m.whole.flops_per_row() + 8 * m.whole.flops_per_sample() +
                        pairs * m.whole.flops_per_pair()) /
                           792e12);
  CHECK(f.seconds() * 1e3 == doctest::Approx(278.5).epsilon(0.005));
  // A prompt of few tokens reads the weights.
  CHECK(step_floor(m, kRates, StepWork::prefill(1, 8)).seconds() ==
        m.whole.weight_bytes() / 4.37e12);
}

TEST_CASE("floors: a prefix that all sequences share is read once") {
  BenchModel m = model_7b();
  StepWork step{.steps = 1, .rows = 3, .samples = 3, .sequences = 3, .kv_positions = 3 * 4200};
  CHECK(step_floor(m, kRates, step, {4096}).read_seconds ==
        (m.whole.weight_bytes() + (4096 + 3 * 104) * m.whole.kv_bytes()) / 4.37e12);
  step.kv_positions = 100;  // of a step within the prefix
  CHECK(step_floor(m, kRates, step, {4096}).read_seconds == m.whole.weight_bytes() / 4.37e12);
  CHECK(step_floor(m, kRates, {}, {4096}).seconds() == 0);
}

TEST_CASE("floors: a prefix of some sequences is read as often as there must be such") {
  BenchModel m = model_7b();
  StepWork step{.steps = 1, .rows = 33, .samples = 33, .sequences = 33, .kv_positions = 33 * 1100};
  CHECK(step_floor(m, kRates, step, {1024, 16}).read_seconds ==
        (m.whole.weight_bytes() + (3 * 1024 + 33 * 76) * m.whole.kv_bytes()) / 4.37e12);
}
