#include "runtime/bench/bench_dataset.h"

#include <doctest/doctest.h>

using namespace ll;
using DatasetKind = DatasetOptions::Kind;

namespace {

constexpr int32_t kVocab = 151936;

int64_t prompt_tokens(const std::vector<BenchRequest>& requests) {
  int64_t n = 0;
  for (const auto& r : requests) n += static_cast<int64_t>(r.prompt.size());
  return n;
}
int64_t output_tokens(const std::vector<BenchRequest>& requests) {
  int64_t n = 0;
  for (const auto& r : requests) n += r.output_len;
  return n;
}

}  // namespace

TEST_CASE("dataset: nano has nano-vllm's prompts, as Python draws them") {
  auto requests = make_dataset({.kind = DatasetKind::kNano, .num_prompts = kNanoPrompts}, kVocab);
  REQUIRE(requests.size() == 256);
  CHECK(output_tokens(requests) == 133966);
  CHECK(prompt_tokens(requests) == 142827);
  const auto& first = requests.front().prompt;
  CHECK(std::vector(first.begin(), first.begin() + 5) ==
        std::vector<int32_t>{6311, 6890, 663, 4242, 8376});
  const auto& last = requests.back().prompt;
  CHECK(std::vector(last.end() - 3, last.end()) == std::vector<int32_t>{6642, 9046, 1958});
  CHECK(requests[0].output_len == 845);
  CHECK(requests[1].output_len == 312);
  CHECK(make_dataset({.kind = DatasetKind::kNano, .num_prompts = 1024}, kVocab).size() == 1024);
}

TEST_CASE("dataset: random lengths, and prompts that follow the seed") {
  DatasetOptions o{.num_prompts = 200, .input_len = 100, .output_len = 10, .range_ratio = 0.5};
  auto requests = make_dataset(o, 50);
  REQUIRE(requests.size() == 200);
  for (const auto& r : requests) {
    CHECK((r.prompt.size() >= 50 && r.prompt.size() <= 150));
    CHECK((r.output_len >= 5 && r.output_len <= 15));
    for (int32_t id : r.prompt) CHECK((id >= 0 && id < 50));
  }
  CHECK(make_dataset(o, 50)[7].prompt == requests[7].prompt);
  o.seed = 1;
  CHECK(make_dataset(o, 50)[7].prompt != requests[7].prompt);
  o.range_ratio = 0;
  CHECK(prompt_tokens(make_dataset(o, 50)) == 200 * 100);
}

TEST_CASE("dataset: a shared prefix and prompts of their own") {
  auto requests = make_dataset({.kind = DatasetKind::kSharedPrefix,
                                .num_prompts = 3,
                                .input_len = 4,
                                .output_len = 5,
                                .prefix_len = 20},
                               kVocab);
  REQUIRE(requests.size() == 3);
  for (const auto& r : requests) {
    CHECK(r.prompt.size() == 24);
    CHECK(std::equal(r.prompt.begin(), r.prompt.begin() + 20, requests[0].prompt.begin()));
    CHECK(r.output_len == 5);
  }
  CHECK(requests[1].prompt != requests[0].prompt);
}

TEST_CASE("dataset: several prefixes in turn") {
  auto requests = make_dataset({.kind = DatasetKind::kSharedPrefix,
                                .num_prompts = 6,
                                .input_len = 4,
                                .output_len = 5,
                                .prefix_len = 20,
                                .num_prefixes = 2},
                               kVocab);
  auto begin_alike = [&](size_t a, size_t b) {
    return std::equal(requests[a].prompt.begin(), requests[a].prompt.begin() + 20,
                      requests[b].prompt.begin());
  };
  CHECK(begin_alike(0, 2));
  CHECK(begin_alike(1, 5));
  CHECK(!begin_alike(0, 1));
}
