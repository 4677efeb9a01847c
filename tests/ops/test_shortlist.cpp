// Draws of rows with a shortlist, and the largest logits of rows.
#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "tests/ops/draw_tokens.h"
#include "tests/support/device.h"

using namespace ll;
using namespace ll::test;

namespace {

constexpr size_t kVocab = 9001;

// Rows of logits that are hard to cut.
std::vector<std::vector<float>> hard_rows() {
  auto random = random_floats(kVocab, 11, 8);
  std::vector<std::vector<float>> rows = {random};
  auto add = [&](auto value_at) {
    rows.emplace_back(kVocab);
    for (size_t i = 0; i < kVocab; ++i) rows.back()[i] = value_at(i);
  };
  add([&](size_t i) { return std::round(random[i]); });      // thousands are equal
  add([&](size_t i) { return i % 3 == 0 ? -0.0f : 0.0f; });  // all are
  add([&](size_t i) { return i == 4321 ? 2.0f : -INFINITY; });
  add([&](size_t i) { return i % 300 == 7 ? random[i] : -INFINITY; });
  add([&](size_t i) { return i % 1000 == 1 ? 30 + random[i] : random[i]; });
  add([&](size_t i) { return static_cast<float>(i) / 1000; });           // all in one granule
  add([&](size_t i) { return i % 45 == 0 ? 50.0f : random[i]; });        // 201 equals
  add([&](size_t i) { return i % 90 == 0 ? 50.0f : random[i]; });        // 101
  add([&](size_t i) { return i % 450 == 0 ? 50.0f : random[i] + 40; });  // 21
  return rows;
}

struct Setting {
  int32_t top_k;
  float top_p, min_p;
};
constexpr Setting kSettings[] = {{1, 1, 0},         {20, 0.8f, 0}, {kMaxShortTopK, 1, 0},
                                 {64, 1e-6f, 0},    {20, 1, 0.3f}, {7, 0.95f, 0.02f},
                                 {20, 0.999f, 0.1f}};

uint32_t key_of(float logit) { return ordered_key(std::bit_cast<uint32_t>(logit + 0.0f)); }

}  // namespace

TEST_CASE("shortlist: what is accepted equals a sort's answer, over any sharding") {
  std::vector<SamplingRow> rows;
  std::vector<float> logits;
  for (const auto& one : hard_rows())
    for (const Setting& s : kSettings) {
      SamplingRow row;
      row.slot = static_cast<int32_t>(rows.size()), row.position = row.slot, row.seed = 5;
      row.temperature = 0.7f, row.top_k = s.top_k, row.top_p = s.top_p, row.min_p = s.min_p;
      rows.push_back(row);
      logits.insert(logits.end(), one.begin(), one.end());
    }
  std::vector<Selection> first;
  auto tokens = draw_tokens(logits, rows, kVocab, 1, &first);
  for (size_t r = 0; r < rows.size(); ++r) {
    CAPTURE(r);
    const float* one = logits.data() + r * kVocab;
    CHECK(first[r].max == *std::max_element(one, one + kVocab));
    auto is_accepted = [&](size_t i) { return key_of(one[i]) >= first[r].low; };
    CHECK(is_accepted(static_cast<size_t>(tokens[r])));
    auto p = probabilities(one, kVocab, rows[r]);
    size_t wrong = 0;
    for (size_t i = 0; i < kVocab; ++i) wrong += is_accepted(i) != (p[i] > 0);
    CHECK(wrong == 0);
  }
  for (size_t shards : {2, 4, 7}) {
    CAPTURE(shards);
    std::vector<Selection> cut;
    CHECK(draw_tokens(logits, rows, kVocab, shards, &cut) == tokens);
    for (size_t r = 0; r < rows.size(); ++r) CHECK(cut[r].low == first[r].low);
  }
}

TEST_CASE("shortlist: rows without a candidate have no token") {
  std::vector<float> logits(2 * kVocab, -INFINITY);
  std::fill(logits.begin() + kVocab, logits.end(), NAN);
  std::vector<SamplingRow> rows(2);
  for (int32_t i = 0; i < 2; ++i) {
    auto& row = rows[static_cast<size_t>(i)];
    row.slot = i, row.temperature = 1, row.top_k = 5, row.top_p = 0.5f;
  }
  for (size_t shards : {1, 3})
    CHECK(draw_tokens(logits, rows, kVocab, shards) ==
          std::vector<int32_t>{kUndrawnToken, kUndrawnToken});
}

TEST_CASE("shortlist: a row draws the same beside rows of every kind") {
  std::vector<SamplingRow> rows;
  for (int32_t k : {0, 5, 100, 64, 65, 1})
    for (float t : {0.0f, 1.0f})
      for (float p : {1.0f, 0.9f}) {
        SamplingRow row;
        row.slot = static_cast<int32_t>(rows.size()) - 1;  // the first is not used
        row.temperature = t, row.top_k = k, row.top_p = p, row.seed = 3, row.position = row.slot;
        rows.push_back(row);
      }
  auto one = random_floats(kVocab, 12, 3);
  std::vector<float> logits;
  for (size_t i = 0; i < rows.size(); ++i) logits.insert(logits.end(), one.begin(), one.end());
  auto together = draw_tokens(logits, rows, kVocab, 1);
  CHECK(draw_tokens(logits, rows, kVocab, 3) == together);
  for (size_t i = 1; i < rows.size(); ++i)
    CHECK(draw_tokens(one, {rows[i]}, kVocab, 2)[0] == together[i]);
}

TEST_CASE("shortlist: logits are penalized before they are listed") {
  for (int64_t vocab : {1000, 1001}) {  // rows that are aligned, and those that are not
    CAPTURE(vocab);
    auto one = random_floats(static_cast<size_t>(vocab), 13, 4);
    std::vector<float> both = one;
    both.insert(both.end(), one.begin(), one.end());
    std::vector<SamplingRow> rows(2);
    for (int32_t i = 0; i < 2; ++i) {
      auto& row = rows[static_cast<size_t>(i)];
      row.slot = i, row.temperature = static_cast<float>(i), row.top_k = 3;
      row.repetition_penalty = 1.3f, row.presence_penalty = 0.5f, row.frequency_penalty = 0.25f;
    }
    // The largest few have counts, and some others.
    std::vector<int32_t> seen = {0, 7, 500, 999};
    for (int i = 0; i < 5; ++i) {
      seen.push_back(static_cast<int32_t>(std::max_element(one.begin(), one.end()) - one.begin()));
      one[static_cast<size_t>(seen.back())] = -100;
    }
    Tensor device_rows = upload_structs(rows), tokens = upload_ints(seen),
           counts = upload_ints(std::vector<int32_t>(static_cast<size_t>(2 * vocab))),
           logits = upload(both, {2, vocab}, DType::f32),
           keys = poisoned({2, num_granules(vocab)}, DType::i32);
    for (int64_t slot : {0, 1})
      backend().ops.sampling.reset_counts(stream(), data_of<int32_t>(counts) + slot * vocab, vocab,
                                          {data_of<int32_t>(tokens), 0, 4, 5}, 0);
    const auto* row = data_of<SamplingRow>(device_rows);
    backend().ops.sampling.apply_penalties(stream(), logits, row, data_of<int32_t>(counts),
                                           data_of<uint32_t>(keys));
    auto got = download_floats(logits);
    std::vector<float> plain(got.begin(), got.begin() + vocab),
        listed(got.begin() + vocab, got.end());
    CHECK(listed == plain);
    CHECK(listed != std::vector<float>(both.begin(), both.begin() + vocab));
    Tensor lists = upload_structs(std::vector<Shortlist>(2)),
           entries = upload_structs(std::vector<ShortlistEntries>(2));
    backend().ops.sampling.shortlist(stream(), logits, row, data_of<uint32_t>(keys), 0,
                                     data_of<Shortlist>(lists), data_of<ShortlistEntries>(entries));
    Shortlist list = download<Shortlist>(lists.view().data, 2)[1];
    std::sort(plain.rbegin(), plain.rend());
    REQUIRE(list.num_values == 3);
    for (size_t i = 0; i < 3; ++i) {
      CHECK(list.values[i] == plain[i]);
      CHECK(list.counts[i] == 1);
    }
  }
}

TEST_CASE("the largest logits of rows that are hard to cut") {
  constexpr int64_t kBegin = 70'000;
  for (int n : {1, 5, 20}) {
    std::vector<std::vector<float>> rows = hard_rows();
    std::vector<float> all;
    for (const auto& row : rows) all.insert(all.end(), row.begin(), row.end());
    auto count = static_cast<int64_t>(rows.size()), vocab = static_cast<int64_t>(kVocab);
    Tensor logits = upload(all, {count, vocab}, DType::f32),
           sums = poisoned({count, 2}, DType::f32),
           keys = poisoned({count, num_granules(vocab)}, DType::i32),
           top = upload_structs(std::vector<Candidate>(rows.size() * static_cast<size_t>(n)));
    backend().ops.sampling.log_sum_exp(stream(), logits, data_of<float>(sums),
                                       data_of<uint32_t>(keys));
    backend().ops.sampling.top_logits(stream(), logits, data_of<uint32_t>(keys), n, kBegin,
                                      data_of<Candidate>(top));
    auto got = download<Candidate>(top.view().data, rows.size() * static_cast<size_t>(n));
    for (size_t r = 0; r < rows.size(); ++r) {
      CAPTURE(r);
      std::vector<Candidate> want;
      for (size_t i = 0; i < kVocab; ++i)
        if (rows[r][i] > -INFINITY)
          want.push_back({rows[r][i], static_cast<int32_t>(kBegin + static_cast<int64_t>(i))});
      std::stable_sort(want.begin(), want.end(),
                       [](const Candidate& a, const Candidate& b) { return a.score > b.score; });
      want.resize(static_cast<size_t>(n), {-INFINITY, INT32_MAX});
      for (size_t i = 0; i < want.size(); ++i) {
        CHECK(got[r * want.size() + i].score == want[i].score);
        CHECK(got[r * want.size() + i].token == want[i].token);
      }
    }
  }
}
