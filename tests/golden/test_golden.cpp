// The whole model against transformers in float32: logits, hidden states, greedy tokens,
// perplexity. Runs on any number of ranks and prints its part of the README's table.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "model/text/tokenizer.h"
#include "tests/golden/golden.h"
#include "tests/support/compare.h"
#include "tests/support/read_file.h"
#include "tests/support/test_model.h"

using namespace ll;
using namespace ll::test;

namespace {

using Span = std::span<const float>;
const std::vector<std::string> kModels{"tiny-qwen2-docs", "random-hd64", "random-hd66",
                                       "random-hd128"};

struct GreedyCounts {
  size_t compared = 0, equal = 0;
  size_t wrong = 0;  // different although the golden's margin is wide

  void operator+=(const GreedyCounts& o) {
    compared += o.compared;
    equal += o.equal;
    wrong += o.wrong;
  }
};

// What was measured, by model and dtype.
struct Agreement {
  double logits = 0, hidden = 0;  // worst relative L2 distances
  GreedyCounts greedy;
  std::optional<double> perplexity;  // relative difference
};
std::map<std::pair<std::string, DType>, Agreement>& agreements() {
  static std::map<std::pair<std::string, DType>, Agreement> all;
  return all;
}
Agreement& agreement(const std::string& model, DType dtype) { return agreements()[{model, dtype}]; }

// Feeds the greedy tokens one by one, in the golden's footsteps, while they agree.
GreedyCounts compare_greedy(TestModel& m, const GoldenPrompt& p, double margin) {
  GreedyCounts counts;
  TensorView hidden = m.forward(p.ids);
  auto position = static_cast<int32_t>(p.ids.size());
  std::vector<float> logits = m.logits(hidden.rows(hidden.dim(0) - 1, 1));
  for (size_t i = 0; i < p.greedy.size(); ++i) {
    auto token =
        static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
    ++counts.compared;
    if (token != p.greedy[i]) {
      counts.wrong += p.margin[i] < margin ? 0 : 1;
      break;
    }
    ++counts.equal;
    logits = m.logits(m.forward({token}, position++));
  }
  return counts;
}

double mean_nll(TestModel& m, const std::vector<int32_t>& ids, size_t window) {
  double sum = 0;
  size_t count = ids.size() - 1;
  for (size_t begin = 0; begin < count; begin += window) {
    auto at = ids.begin() + static_cast<int64_t>(begin);
    auto rows = static_cast<int64_t>(std::min(window, count - begin));
    TensorView hidden = m.forward({at, at + rows});
    sum += m.negative_log_likelihood(hidden, {at + 1, at + rows + 1});
  }
  return sum / static_cast<double>(count);
}

// Attention of two random models is so sharp that transformers' own bfloat16 logits are up to 0.5
// off its float32 ones.
double greedy_margin(const std::string& model, DType dtype) {
  bool is_sharp = model == "random-hd64" || model == "random-hd128";
  return dtype == DType::bf16 && is_sharp ? 0.5 : tolerance(dtype).greedy_margin;
}

}  // namespace

// Worst relative L2 distances from the golden.
double distance_of_last_logits(const Golden& golden, TestModel& m) {
  double worst = 0;
  for (size_t i = 0; i < golden.prompts.size(); ++i) {
    TensorView hidden = m.forward(golden.prompts[i].ids);
    auto got = m.logits(hidden.rows(hidden.dim(0) - 1, 1)),
         want = golden.tensor(fmt::format("last_logits.{}", i));
    worst = std::max(worst, relative_error(Span(got), Span(want)));
  }
  return worst;
}

struct OnePrompt {
  double hidden, logits;
};
OnePrompt distances_of_one_prompt(const Golden& golden, TestModel& m) {
  std::vector<std::vector<float>> residuals;
  m.model().observe([&](int64_t, TensorView r) { residuals.push_back(download_floats(r)); });
  TensorView hidden = m.forward(golden.prompts[golden.hidden_of_prompt].ids);
  residuals.back() = download_floats(hidden);  // transformers' last hidden state is normalised
  double worst = 0;
  for (size_t l = 0; l < residuals.size(); ++l) {
    auto want = golden.tensor(fmt::format("hidden.{}", l));
    worst = std::max(worst, relative_error(Span(residuals[l]), Span(want)));
  }
  auto all = m.logits(hidden), want = golden.tensor("all_logits");
  return {worst, relative_error(Span(all), Span(want))};
}

TEST_CASE("last logits of every prompt, all logits and hidden states of one") {
  for (const std::string& name : kModels)
    for (DType dtype : model_dtypes()) {
      CAPTURE(name);
      CAPTURE(name_of(dtype));
      Golden golden(name);
      TestModel m(golden.folder, dtype);
      double last = distance_of_last_logits(golden, m);
      auto [hidden, all] = distances_of_one_prompt(golden, m);
      CHECK(last < tolerance(dtype).logits);
      CHECK(hidden < tolerance(dtype).hidden);
      CHECK(all < tolerance(dtype).logits);
      agreement(name, dtype).logits = std::max(last, all);
      agreement(name, dtype).hidden = hidden;
    }
}

// Whether the backend would do them so or not.
TEST_CASE("norms done by the products around them, and as ops of their own") {
  for (const std::string& name : kModels)
    for (bool defers : {false, true}) {
      CAPTURE(name);
      CAPTURE(defers);
      Backend other = backend();
      other.defers_norms = defers;
      Golden golden(name);
      TestModel::On on{.steps_on = &other};
      TestModel m(WeightStore::open(golden.folder), DType::bf16, mpi().world(), on);
      CHECK(distance_of_last_logits(golden, m) < tolerance(DType::bf16).logits);
      auto [hidden, all] = distances_of_one_prompt(golden, m);
      CHECK(hidden < tolerance(DType::bf16).hidden);
      CHECK(all < tolerance(DType::bf16).logits);
    }
}

TEST_CASE("greedy tokens wherever the margin allows") {
  for (const std::string& name : kModels)
    for (DType dtype : model_dtypes()) {
      CAPTURE(name);
      CAPTURE(name_of(dtype));
      Golden golden(name);
      TestModel m(golden.folder, dtype);
      GreedyCounts counts;
      size_t total = 0;
      for (const GoldenPrompt& p : golden.prompts) {
        counts += compare_greedy(m, p, greedy_margin(name, dtype));
        total += p.greedy.size();
      }
      CHECK(counts.wrong == 0);
      if (dtype == DType::f32) CHECK(counts.equal == total);
      agreement(name, dtype).greedy = counts;
    }
}

TEST_CASE("perplexity of held-out text") {
  Golden golden("tiny-qwen2-docs");
  auto tokenizer =
      Tokenizer::from_json(read_file(golden.folder + "/tokenizer.json"), "tokenizer.json");
  auto ids = tokenizer.encode(read_file(golden.folder + "/held_out.txt"));
  ids.resize(65536);
  for (DType dtype : model_dtypes()) {
    TestModel m(golden.folder, dtype);
    double want = golden.json["perplexity"][std::string(name_of(dtype))]["mean_nll"],
           got = mean_nll(m, ids, 1024);
    CAPTURE(name_of(dtype));
    double difference = std::exp(got - want) - 1;
    CHECK(std::abs(difference) < tolerance(dtype).perplexity);
    agreement("tiny-qwen2-docs", dtype).perplexity = difference;
  }
}

TEST_CASE("what was measured, as a table") {
  if (mpi().world().rank() > 0) return;
  fmt::print(
      "\n| model | dtype | np | logits | hidden states | tokens compared, equal | perplexity |\n"
      "|---|---|---|---|---|---|---|\n");
  for (const auto& [of, a] : agreements())
    fmt::print("| {} | {} | {} | {:.1e} | {:.1e} | {}, {} | {} |\n", of.first, name_of(of.second),
               mpi().world().size(), a.logits, a.hidden, a.greedy.compared, a.greedy.equal,
               a.perplexity ? fmt::format("{:+.4f}%", 100 * *a.perplexity) : "");
}
