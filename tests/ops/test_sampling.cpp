#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
#include <set>

#include "base/random.h"
#include "tests/ops/draw_tokens.h"
#include "tests/support/device.h"

using namespace ll;
using namespace ll::test;

namespace {

const SamplingOps& sampling_ops() { return backend().ops.sampling; }

// Upper 0.1% point of the chi-square distribution [Wilson & Hilferty 1931].
double chi_square_limit(double degrees) {
  return degrees * std::pow(1 - 2 / (9 * degrees) + 3.09 * std::sqrt(2 / (9 * degrees)), 3);
}

}  // namespace

TEST_CASE("Philox4x32-10 gives the published values") {
  CHECK(philox({0, 0, 0, 0}, 0) ==
        std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox({~0u, ~0u, ~0u, ~0u}, ~uint64_t{0}) ==
        std::array<uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0x299f31d0a4093822) ==
        std::array<uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("greedy takes the largest logit, ties to the lowest id, over any sharding") {
  constexpr size_t kVocab = 1000;
  auto logits = random_floats(3 * kVocab, 1);
  logits[400] = logits[401] = 5;
  logits[kVocab + 999] = 5;
  logits[2 * kVocab] = 5;
  std::vector<SamplingRow> rows(3);
  for (int32_t i = 0; i < 3; ++i) rows[static_cast<size_t>(i)].slot = i;
  for (size_t shards : {1, 2, 3, 7})
    CHECK(draw_tokens(logits, rows, kVocab, shards) == std::vector<int32_t>{400, 999, 0});
}

TEST_CASE("what is accepted equals a sort's answer, over any sharding") {
  constexpr size_t kVocab = 5000;
  std::vector<SamplingRow> rows;
  for (float t : {0.3f, 1.0f, 2.0f})
    for (int32_t k : {0, 1, 7, 4999, 6000})
      for (float p : {1.0f, 0.05f, 0.6f, 0.95f})
        for (float m : {0.0f, 0.02f}) {
          SamplingRow row;
          row.slot = static_cast<int32_t>(rows.size());
          row.temperature = t, row.top_k = k, row.top_p = p, row.min_p = m;
          rows.push_back(row);
        }
  auto one = random_floats(kVocab, 3, 8);
  std::vector<float> logits;
  for (size_t r = 0; r < rows.size(); ++r) logits.insert(logits.end(), one.begin(), one.end());
  std::vector<Selection> first;
  for (size_t shards : {1, 2, 5}) {
    std::vector<Selection> cut;
    draw_tokens(logits, rows, kVocab, shards, &cut);
    if (first.empty()) first = cut;
    for (size_t r = 0; r < rows.size(); ++r) {
      CHECK(cut[r].low == first[r].low);
      auto p = probabilities(one.data(), kVocab, rows[r]);
      size_t wrong = 0;
      for (size_t i = 0; i < kVocab; ++i)
        wrong += (ordered_key(std::bit_cast<uint32_t>(one[i])) >= cut[r].low) != (p[i] > 0);
      CAPTURE(rows[r].temperature);
      CAPTURE(rows[r].top_k);
      CAPTURE(rows[r].top_p);
      CAPTURE(rows[r].min_p);
      CHECK(wrong <= 1);  // rounding of the fixed-point mass may move the cut by one entry
    }
  }
}

TEST_CASE("draws follow the exact probabilities (chi-square)") {
  constexpr size_t kVocab = 300, kDraws = 20000, kBatch = 500;
  auto one = random_floats(kVocab, 5, 4);
  struct Setting {
    float temperature, top_p, min_p;
    int32_t top_k;
  };
  for (Setting s : {Setting{1, 1, 0, 0},
                    {0.6f, 1, 0, 0},
                    {1.5f, 0.8f, 0, 0},
                    {1, 1, 0, 20},
                    {1, 0.9f, 0, 50},
                    {1, 1, 0.1f, 0},
                    {0.7f, 0.8f, 0.01f, 20}}) {
    std::vector<double> seen(kVocab);
    SamplingRow row;
    row.temperature = s.temperature, row.top_p = s.top_p, row.min_p = s.min_p, row.top_k = s.top_k;
    for (size_t begin = 0; begin < kDraws; begin += kBatch) {
      std::vector<SamplingRow> rows(kBatch, row);
      std::vector<float> logits;
      for (size_t i = 0; i < kBatch; ++i) {
        rows[i].slot = static_cast<int32_t>(i);
        rows[i].seed = 12345 + (begin + i) / 100;  // a hundred positions of each seed
        rows[i].position = static_cast<int32_t>((begin + i) % 100);
        logits.insert(logits.end(), one.begin(), one.end());
      }
      for (int32_t token : draw_tokens(logits, rows, kVocab, 2)) ++seen[static_cast<size_t>(token)];
    }
    auto p = probabilities(one.data(), kVocab, row);
    double chi_square = 0, degrees = -1, rest_seen = 0, rest_wanted = 0;
    for (size_t i = 0; i < kVocab; ++i) {
      double wanted = p[i] * kDraws;
      if (p[i] == 0) CHECK(seen[i] == 0);
      if (wanted < 5) {
        rest_seen += seen[i], rest_wanted += wanted;
        continue;
      }
      chi_square += (seen[i] - wanted) * (seen[i] - wanted) / wanted;
      ++degrees;
    }
    if (rest_wanted > 5)
      chi_square += (rest_seen - rest_wanted) * (rest_seen - rest_wanted) / rest_wanted, ++degrees;
    CAPTURE(s.temperature);
    CAPTURE(s.top_p);
    CAPTURE(s.top_k);
    CHECK(chi_square < chi_square_limit(degrees));
  }
}

TEST_CASE("a draw depends on seed and position, not on batch or sharding") {
  constexpr size_t kVocab = 2000;
  auto one = random_floats(kVocab, 6);
  std::vector<SamplingRow> rows;
  std::vector<float> logits;
  for (int32_t i = 0; i < 12; ++i) {
    SamplingRow row;
    row.slot = i, row.temperature = 1, row.seed = static_cast<uint64_t>(i / 4),
    row.position = i % 4;
    rows.push_back(row);
    logits.insert(logits.end(), one.begin(), one.end());
  }
  auto together = draw_tokens(logits, rows, kVocab, 1);
  CHECK(draw_tokens(logits, rows, kVocab, 4) == together);
  for (size_t i = 0; i < rows.size(); ++i)
    CHECK(draw_tokens(one, {rows[i]}, kVocab, 1)[0] == together[i]);
  CHECK(std::set<int32_t>(together.begin(), together.end()).size() > 9);
}

TEST_CASE("where no logit is a number no token is chosen, and the slot keeps a valid one") {
  constexpr size_t kVocab = 1000;
  std::vector<SamplingRow> rows(3);
  for (int32_t r = 0; r < 3; ++r) rows[static_cast<size_t>(r)].slot = r;
  rows[1].temperature = 1;
  std::vector<float> logits(3 * kVocab, NAN);
  std::fill(logits.end() - kVocab, logits.end(), -INFINITY);
  auto check_none = [&](size_t shards) {
    CHECK(draw_tokens(logits, rows, kVocab, shards) == std::vector<int32_t>(3, kUndrawnToken));
  };
  check_none(1);
  check_none(4);
  logits[77] = logits[kVocab + 77] = logits[2 * kVocab + 77] = -5;  // one number among them
  CHECK(draw_tokens(logits, rows, kVocab, 4) == std::vector<int32_t>(3, 77));
}

TEST_CASE("penalties, edits and counts") {
  constexpr int64_t kVocab = 50, kBegin = 100;
  Tensor counts = upload_ints(std::vector<int32_t>(3 * kVocab, 77)),
         prompt = upload_ints({101, 101, 149, 3, 150, 107, 149, 107, 99});
  sampling_ops().reset_counts(stream(), data_of<int32_t>(counts) + kVocab, kVocab,
                              {data_of<int32_t>(prompt), 0, 5, 4}, kBegin);
  auto reset = download<int32_t>(data_of<int32_t>(counts) + kVocab, kVocab);
  for (int32_t i = 0; i < kVocab; ++i)
    CHECK(reset[static_cast<size_t>(i)] == (i == 1    ? kInPrompt
                                            : i == 49 ? kInPrompt + 1
                                            : i == 7  ? 2
                                                      : 0));

  std::vector<SamplingRow> rows(2);
  rows[0].slot = 1;
  rows[0].repetition_penalty = 2, rows[0].presence_penalty = 0.5f,
  rows[0].frequency_penalty = 0.25f;
  rows[1].slot = 2;
  Tensor device_rows = upload_structs(rows), tokens = upload_ints({-1, -1}),
         last = upload_ints({-1, -1, -1});
  for (int32_t token : {101, 110, 110, 999}) {  // the last is another rank's
    Tensor drawn = upload_structs(std::vector<Candidate>{{1, token}, {1, 105}});
    sampling_ops().choose(stream(),
                          {data_of<Candidate>(drawn), 1, data_of<SamplingRow>(device_rows), 2,
                           data_of<int32_t>(tokens), nullptr, data_of<int32_t>(last),
                           data_of<int32_t>(counts), kBegin, kVocab});
  }
  auto counted = download<int32_t>(data_of<int32_t>(counts) + kVocab, kVocab);
  CHECK(counted[1] == (kInPrompt | 1));
  CHECK(counted[10] == 2);
  CHECK(counted[5] == 0);
  CHECK(download<int32_t>(last.view().data, 3) == std::vector<int32_t>{-1, 999, 105});

  auto before = random_floats(2 * kVocab, 9, 3);
  before[1] = 2, before[49] = -2, before[10] = 1;
  Tensor logits = upload(before, {2, kVocab}, DType::f32);
  sampling_ops().apply_penalties(stream(), logits, data_of<SamplingRow>(device_rows),
                                 data_of<int32_t>(counts), nullptr);
  Tensor edits = upload_structs(
      std::vector<LogitEdit>{{0, 102, 4}, {0, 150, 1}, {1, 149, -INFINITY}, {1, 99, 1}});
  sampling_ops().edit_logits(stream(), logits, data_of<SamplingRow>(device_rows),
                             data_of<int32_t>(last), data_of<LogitEdit>(edits), 4, kBegin);
  auto want = before, got = download_floats(logits);
  want[1] = 2 / 2.0f - 0.75f;
  want[49] = -4 - 0.75f;
  want[7] = (before[7] > 0 ? before[7] / 2 : before[7] * 2) - 1.0f;
  want[10] = 1 / 2.0f - 0.5f - 0.5f;
  want[2] += 4;
  want[kVocab + 49] = -INFINITY;
  CHECK(got == want);
}

TEST_CASE("tokens that are not allowed, and those that may not come after another") {
  constexpr int64_t kVocab = 3000, kBegin = 5000;
  Tensor counts = upload_ints(std::vector<int32_t>(2 * kVocab, 77)),
         tokens = upload_ints({5000, 7999, 5100, 5100, 4000, 9000, 5001, 5100, 7999, 5002});
  // Allowed are six, of which two are another rank's; then two of the prompt, two of the output.
  sampling_ops().reset_counts(stream(), data_of<int32_t>(counts) + kVocab, kVocab,
                              {data_of<int32_t>(tokens), 6, 2, 2}, kBegin);
  std::vector<SamplingRow> rows(3);
  rows[0].slot = 1, rows[0].only_allowed = 1;
  rows[1].slot = 0;
  rows[2].slot = 1, rows[2].only_allowed = 1, rows[2].presence_penalty = 1;
  Tensor device_rows = upload_structs(rows), last = upload_ints({5003, 5004});
  auto before = random_floats(3 * kVocab, 9, 3);
  Tensor logits = upload(before, {3, kVocab}, DType::f32);
  sampling_ops().apply_penalties(stream(), logits, data_of<SamplingRow>(device_rows),
                                 data_of<int32_t>(counts), nullptr);
  Tensor edits = upload_structs(std::vector<LogitEdit>{{0, 5000, -INFINITY, 5003},
                                                       {0, 7999, -INFINITY, 5004},
                                                       {1, 5000, -INFINITY, 5003},
                                                       {1, 5001, 2, 5004},
                                                       {1, 5001, 1},
                                                       {1, 5002, 1, 5003},
                                                       {1, 5002, 1}});
  sampling_ops().edit_logits(stream(), logits, data_of<SamplingRow>(device_rows),
                             data_of<int32_t>(last), data_of<LogitEdit>(edits), 7, kBegin);
  auto want = before;
  for (int64_t i = 0; i < kVocab; ++i)
    if (i != 0 && i != 100 && i != 2999)
      want[static_cast<size_t>(i)] = want[static_cast<size_t>(2 * kVocab + i)] = -INFINITY;
  want[2 * kVocab + 2999] -= 1;  // the one of the output that is allowed
  want[2999] = -INFINITY;
  want[kVocab] = -INFINITY;
  want[kVocab + 1] += 1;
  want[kVocab + 2] += 1, want[kVocab + 2] += 1;
  CHECK(download_floats(logits) == want);
}

TEST_CASE("log-sum-exp, target logits and top logits") {
  constexpr int64_t kVocab = 777, kBegin = 1000;
  auto x = random_floats(2 * kVocab, 8, 6);
  x[5] = x[6] = 9;
  Tensor logits = upload(x, {2, kVocab}, DType::f32), sums = poisoned({2, 2}, DType::f32),
         values = poisoned({2}, DType::f32);
  Tensor keys = poisoned({2, num_granules(kVocab)}, DType::i32);
  sampling_ops().log_sum_exp(stream(), logits, data_of<float>(sums), data_of<uint32_t>(keys));
  Tensor targets = upload_ints({1005, 999});
  sampling_ops().target_logits(stream(), logits, data_of<int32_t>(targets), kBegin,
                               data_of<float>(values));
  auto s = download_floats(sums), t = download_floats(values);
  for (size_t r = 0; r < 2; ++r) {
    double max = -1e9, sum = 0;
    for (size_t i = 0; i < kVocab; ++i) max = std::max<double>(max, x[r * kVocab + i]);
    for (size_t i = 0; i < kVocab; ++i) sum += std::exp(x[r * kVocab + i] - max);
    CHECK(s[2 * r] == static_cast<float>(max));
    CHECK(s[2 * r + 1] == doctest::Approx(sum).epsilon(1e-5));
  }
  CHECK(t[0] == 9);
  CHECK(t[1] == -INFINITY);
  Tensor top = upload_structs(std::vector<Candidate>(2 * 20));
  sampling_ops().top_logits(stream(), logits, data_of<uint32_t>(keys), 20, kBegin,
                            data_of<Candidate>(top));
  auto got = download<Candidate>(top.view().data, 40);
  CHECK(got[0].token == 1005);
  CHECK(got[1].token == 1006);
  for (size_t r = 0; r < 2; ++r) {
    std::vector<float> sorted(x.begin() + static_cast<int64_t>(r) * kVocab,
                              x.begin() + static_cast<int64_t>(r + 1) * kVocab);
    std::sort(sorted.rbegin(), sorted.rend());
    for (size_t i = 0; i < 20; ++i) {
      CHECK(got[r * 20 + i].score == sorted[i]);
      CHECK(x[r * kVocab + static_cast<size_t>(got[r * 20 + i].token - kBegin)] == sorted[i]);
    }
  }
}
