#include "runtime/engine/flight.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <set>
#include <span>

#include "base/numbers.h"
#include "tests/support/counting_device.h"
#include "tests/support/device.h"

using namespace ll;
using namespace ll::test;

namespace {

// Rows of random logits over a vocabulary that `ranks` share, as each rank would have scored them.
struct Sharded {
  std::vector<std::vector<float>> logits;  // [rows][vocab]
  std::vector<int32_t> tokens;             // the chosen one of each row
  int64_t ranks = 0;
  int num_logprobs = 0;
  std::vector<float> max_and_sum, chosen;
  std::vector<Candidate> top;

  Scores scores() const {
    return {num_logprobs, ranks, static_cast<int64_t>(tokens.size()), max_and_sum, chosen, top};
  }
};

Sharded make_scores(int64_t ranks, int64_t rows, int64_t vocab, int num_logprobs, unsigned seed) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal(0, 4);
  Sharded s;
  s.ranks = ranks;
  s.num_logprobs = num_logprobs;
  for (int64_t row = 0; row < rows; ++row) {
    s.logits.emplace_back(vocab);
    // Coarse values, so that there are ties.
    for (float& x : s.logits.back()) x = std::round(normal(rng) * 4) / 4;
    s.tokens.push_back(static_cast<int32_t>(rng() % static_cast<uint32_t>(vocab)));
    s.chosen.push_back(s.logits.back()[static_cast<size_t>(s.tokens.back())]);
  }
  for (int64_t rank = 0; rank < ranks; ++rank)
    for (const auto& row : s.logits) {
      int64_t begin = vocab * rank / ranks, end = vocab * (rank + 1) / ranks;
      float max = -INFINITY, sum = 0;
      for (int64_t i = begin; i < end; ++i) max = std::max(max, row[static_cast<size_t>(i)]);
      for (int64_t i = begin; i < end; ++i) sum += std::exp(row[static_cast<size_t>(i)] - max);
      s.max_and_sum.insert(s.max_and_sum.end(), {max, sum});
      std::vector<Candidate> top;
      for (int64_t i = begin; i < end; ++i)
        top.push_back({row[static_cast<size_t>(i)], static_cast<int32_t>(i)});
      std::stable_sort(top.begin(), top.end(), [](auto a, auto b) { return a.score > b.score; });
      top.resize(static_cast<size_t>(num_logprobs), {-INFINITY, 0});  // a short shard has fewer
      s.top.insert(s.top.end(), top.begin(), top.end());
    }
  return s;
}

double log_sum(const std::vector<float>& row) {
  double sum = 0;
  for (float x : row) sum += std::exp(static_cast<double>(x));
  return std::log(sum);
}

std::vector<int32_t> largest(const std::vector<float>& row, size_t count) {
  std::vector<int32_t> order(row.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    return row[static_cast<size_t>(a)] > row[static_cast<size_t>(b)];
  });
  order.resize(std::min(count, order.size()));
  return order;
}

void check_logprob(const TokenLogprob& got, const std::vector<float>& row, int32_t token,
                   size_t num_logprobs) {
  double normaliser = log_sum(row);
  auto want = [&](int32_t t) { return row[static_cast<size_t>(t)] - normaliser; };
  CHECK(got.token == token);
  CHECK(std::abs(got.logprob - want(token)) < 1e-5);
  auto top = largest(row, num_logprobs);
  REQUIRE(got.top.size() == top.size());
  for (size_t i = 0; i < top.size(); ++i) {
    CHECK(got.top[i].first == top[i]);  // ties to the lower id
    CHECK(std::abs(got.top[i].second - want(top[i])) < 1e-5);
  }
}

}  // namespace

TEST_CASE("scores: logprobs over any number of shards are those of the whole row") {
  for (int64_t ranks : {1, 2, 3, 4})
    for (int64_t vocab : {5, 64, 151})
      for (int num_logprobs : {0, 1, 5, 20}) {
        CAPTURE(ranks);
        CAPTURE(vocab);
        CAPTURE(num_logprobs);
        Sharded s = make_scores(ranks, 6, vocab, num_logprobs, 7);
        for (int64_t row = 0; row < 6; ++row) {
          auto i = static_cast<size_t>(row);
          for (int num_top : {num_logprobs, num_logprobs / 2})
            check_logprob(s.scores().at(row, s.tokens[i], num_top), s.logits[i], s.tokens[i],
                          static_cast<size_t>(num_top));
        }
      }
}

TEST_CASE("scores: logits far apart and far from zero") {
  Sharded s{.tokens = {1}, .ranks = 2, .num_logprobs = 2};
  s.max_and_sum = {5000, 1, 4000, 3};
  s.chosen = {4999};
  s.top = {{5000, 3}, {4999, 1}, {4000, 9}, {4000, 10}};
  TokenLogprob t = s.scores().at(0, 1, 2);
  CHECK(t.logprob == -1);
  CHECK(t.top == std::vector<std::pair<int32_t, float>>{{3, 0.0f}, {1, -1.0f}});
  s.chosen = {-INFINITY};
  CHECK(s.scores().at(0, 1, 2).logprob == -INFINITY);
}

TEST_CASE("flight: what is taken of the arena stays in its place until all is free") {
  CHECK(CountingDevice::host_blocks() == 0);
  {
    Backend counted = CountingDevice::wrap(backend());
    HostArena arena(counted.device);
    std::set<void*> places;
    std::vector<std::span<int32_t>> taken;
    auto fill = [&] {
      for (size_t count : {100, 40'000, 1, 0, 3, 200'000, 7}) {
        taken.emplace_back(arena.take<int32_t>(count), count);
        places.insert(taken.back().data());
        CHECK(is_aligned(taken.back().data(), 64));
        std::fill(taken.back().begin(), taken.back().end(), static_cast<int32_t>(taken.size()));
      }
      for (size_t i = 0; i < taken.size(); ++i)
        CHECK(std::count(taken[i].begin(), taken[i].end(), static_cast<int32_t>(i + 1)) ==
              static_cast<int64_t>(taken[i].size()));
    };
    fill();
    size_t blocks = CountingDevice::host_blocks();
    CHECK(blocks > 1);
    arena.reset();
    taken.clear();
    size_t num_places = places.size();
    fill();
    CHECK(CountingDevice::host_blocks() == blocks);
    CHECK(places.size() == num_places);
  }
  CHECK(CountingDevice::host_blocks() == 0);
}

TEST_CASE("flight: samples that asked get as many logprobs as they asked for") {
  Flight flight(backend(), 8);
  Sharded s = make_scores(2, 3, 64, 5, 1);
  flight.num_samples = 3;
  flight.has_scores = true;
  flight.wanted = {5, -1, 2};
  flight.scores = s.scores();
  std::copy(s.tokens.begin(), s.tokens.end(), flight.tokens);
  StepResult result = flight.take();
  CHECK(result.tokens == s.tokens);
  REQUIRE(result.logprobs.size() == 3);
  check_logprob(result.logprobs[0], s.logits[0], s.tokens[0], 5);
  CHECK(result.logprobs[1].top.empty());
  check_logprob(result.logprobs[2], s.logits[2], s.tokens[2], 2);
  flight.has_scores = false;
  CHECK(flight.take().logprobs.empty());
}

TEST_CASE("flight: prompt rows go to their chunks, across the blocks they were scored in") {
  Flight flight(backend(), 8);
  Sharded a = make_scores(2, 3, 64, 4, 1), b = make_scores(2, 2, 64, 4, 2);
  flight.prompt_pieces = {a.scores(), b.scores()};
  flight.num_prompt_chunks = 3;  // the second has one row that has no next token: none is scored
  flight.prompt_rows = {{0, a.tokens[0], 4},
                        {0, a.tokens[1], 4},
                        {2, a.tokens[2], 0},
                        {2, b.tokens[0], 0},
                        {2, b.tokens[1], 0}};
  StepResult result = flight.take();
  REQUIRE(result.prompt_logprobs.size() == 3);
  REQUIRE(result.prompt_logprobs[0].size() == 2);
  CHECK(result.prompt_logprobs[1].empty());
  REQUIRE(result.prompt_logprobs[2].size() == 3);
  check_logprob(result.prompt_logprobs[0][1], a.logits[1], a.tokens[1], 4);
  check_logprob(result.prompt_logprobs[2][0], a.logits[2], a.tokens[2], 0);
  check_logprob(result.prompt_logprobs[2][2], b.logits[1], b.tokens[1], 0);
}
